"""What is done after a leak: the leaked tokens are replaced and revoked, others are found."""

from datetime import timedelta

import pytest

from rotator import wiring
from rotator.cli.leaked.emergency import FoundState
from rotator.cli.leaked.record import IncidentRecord, LeakedState, RunState
from rotator.errors import ApiUnreachableError
from rotator.rotation.model import Action
from rotator.rotation.policy import RotateOptions
from rotator.rotation.report import summarize
from rotator.stores.journal import scope_digest
from tests.faults.door import Door
from tests.leak.site import Site, nothing
from tests.support.sandbox import Fault
from tests.support.world import LOGIN, MINT

CALL_MINT = "POST /auth/admin/service-tokens"
CALL_LIST = "GET /auth/admin/service-tokens"
CALL_REVOKE = "DELETE /auth/admin/service-tokens/{id}"
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def states(record: IncidentRecord) -> dict[str, LeakedState]:
    return {token_id: record.state_of(token_id) for token_id in record.leaked}


def found(record: IncidentRecord) -> dict[str, FoundState]:
    return {each.row.token_id: each.state for each in record.found}


def test_what_the_first_turn_of_a_token_did_is_told_after_the_last(site: Site) -> None:
    """The leaked token cannot be revoked while a store of another one does not answer."""
    leaked = site.id_in("luna")
    site.stores["sol"] = ["away/sol.env"]
    record = site.answer("luna")
    report = record.reports["luna"]
    assert len(site.waited) > 1
    assert (report.action, report.previous_token_id) == (Action.ROTATED, leaked)
    told = f"luna: rotated (forced) – new token {site.id_in('luna')}, valid for 90 days"
    assert summarize(report).startswith(told)
    assert f"in dotenv://{site.folder}/luna.env#" in summarize(report)
    assert "is not revoked yet" in str(report.error)


def test_the_leaked_token_is_replaced_and_revoked_and_no_other(site: Site) -> None:
    leaked, others = site.id_in("luna"), {site.id_in("sol"), site.id_in("nyx")}
    record = site.answer("luna")
    assert (record.state, list(record.open_tasks())) == (RunState.DONE, [])
    assert states(record) == {leaked: LeakedState.REVOKED}
    assert site.live == {*others, site.id_in("luna")}
    assert site.api.calls.count(LOGIN) == 1


def test_nobody_named_is_everybody(site: Site) -> None:
    leaked = {site.id_in(name) for name in site.stores}
    record = site.answer()
    assert record.state is RunState.DONE
    assert states(record) == dict.fromkeys(leaked, LeakedState.REVOKED)
    assert site.live == {site.id_in(name) for name in site.stores}


def test_the_same_command_again_finds_all_done(site: Site) -> None:
    leaked = site.id_in("luna")
    site.answer("luna")
    new = site.id_in("luna")
    record = site.answer("luna")
    assert (record.state, site.id_in("luna")) == (RunState.DONE, new)
    assert states(record) == {leaked: LeakedState.REVOKED}
    assert site.api.calls.count(MINT) == 1
    (assessment,) = record.assessments
    assert assessment.answer
    assert assessment.answer.token_id == new


@pytest.mark.parametrize("again", [True, False])
def test_an_hour_later_or_when_asked_it_is_another_leak(site: Site, *, again: bool) -> None:
    site.answer("luna")
    first = site.id_in("luna")
    site.clock.advance(MINUTE if again else timedelta(hours=1))
    record = site.answer("luna", again=again)
    assert record.state is RunState.DONE
    assert states(record)[first] is LeakedState.REVOKED
    assert site.api.calls.count(MINT) == 2


def test_who_shows_the_same_token_gets_another_one_too(site: Site) -> None:
    leaked = site.put("sol", site.api.tokens[0].secret)
    record = site.answer("luna")
    assert [each.name for each in record.assessments] == ["luna", "sol"]
    assert record.state is RunState.DONE
    assert leaked not in site.live
    assert len({site.id_in("luna"), site.id_in("sol"), leaked}) == 3


def test_what_lives_of_the_tokens_before_is_revoked_too(site: Site) -> None:
    before = site.issue()
    leaked = site.put("luna", site.api.tokens[0].secret, f"# rotator: v=1 previous={before}\n")
    record = site.answer("luna")
    assert states(record) == {leaked: LeakedState.REVOKED, before: LeakedState.REVOKED}
    assert not {leaked, before} & site.live


def test_a_token_that_no_store_holds_any_more_is_known_to_the_journal(site: Site) -> None:
    site.answer("luna")
    site.clock.advance(DAY)
    leaked = site.id_in("luna")
    text = site.text("luna")
    (site.folder / "luna.env").write_text(text.replace(site.api.tokens[-1].secret, ""))
    record = site.answer("luna")
    assert record.state is RunState.DONE
    assert states(record)[leaked] is LeakedState.REVOKED
    assert leaked not in site.live


def test_one_that_nobody_knows_is_among_those_that_are_found(site: Site) -> None:
    leaked = site.id_in("luna")
    site.put("luna", "")
    record = site.answer("luna")
    assert record.state is RunState.NOT_DONE
    assert "neither its stores nor their journals know the token" in " ".join(record.open_tasks())
    assert found(record) == {leaked: FoundState.LEFT}
    record = site.answer("luna", revoke_found=True)
    assert (record.state, found(record)) == (RunState.DONE, {leaked: FoundState.REVOKED})
    assert site.api.calls.count(MINT) == 1
    assert leaked not in site.live


def test_a_bot_that_has_no_token_yet_lost_none(site: Site) -> None:
    site.stores["eos"] = ["eos.env"]
    site.put("eos", "")
    orphan = site.issue(made=300 * DAY)
    late = site.issue()
    record = site.answer()
    assert (record.state, found(record)) == (RunState.DONE, {late: FoundState.LEFT})
    assert {orphan, site.id_in("eos")} <= site.live


class TestWhatWasMade:
    """Tokens that whoever had the leaked one can have made."""

    def test_since_the_leaked_one_is_listed_and_left(self, site: Site) -> None:
        early, late = site.issue(made=100 * DAY), site.issue(made=MINUTE)
        record = site.answer("luna")
        assert found(record) == {late: FoundState.LEFT}
        assert record.state is RunState.DONE
        assert f"No store holds {late}" in " ".join(record.open_questions())
        assert {early, late} <= site.live

    def test_it_is_revoked_if_that_is_asked_for(self, site: Site) -> None:
        late = site.issue()
        record = site.answer("luna", revoke_found=True)
        assert (found(record), record.state) == ({late: FoundState.REVOKED}, RunState.DONE)
        assert late not in site.live

    def test_a_given_time_counts(self, site: Site) -> None:
        early, late = site.issue(made=100 * DAY), site.issue()
        record = site.answer("luna", since=site.clock() - 101 * DAY)
        assert set(found(record)) == {early, late}

    def test_what_another_admin_made_is_not(self, site: Site) -> None:
        site.issue()
        site.api.tokens[-1].user_id = "somebody-else"
        assert site.answer("luna").found == []

    def test_but_what_the_admin_of_the_leaked_one_made_is(self, site: Site) -> None:
        late = site.issue()
        for row in (site.api.tokens[0], site.api.tokens[-1]):
            row.user_id = "somebody-else"
        assert set(found(site.answer("luna"))) == {late}

    def test_one_of_this_second_may_be_on_its_way_to_a_store(self, site: Site) -> None:
        young = site.issue(made=timedelta())
        intent = "0123456789ab/2026-11-23T11:59:50Z/90/01234567"
        site.put("sol", site.api.tokens[1].secret, f"# rotator: v=1 intent={intent}\n")
        record = site.answer("luna", revoke_found=True)
        assert (found(record), record.state) == ({young: FoundState.UNKNOWN}, RunState.NOT_DONE)
        assert f"{young} may be on the way to a store" in " ".join(record.open_tasks())
        assert young in site.live

    def test_a_revocation_that_fails_is_told(self, site: Site) -> None:
        late = site.issue()
        call = f"DELETE /auth/admin/service-tokens/{late}"
        site.api.misbehave(Fault.refusal(403), call, times=None)
        record = site.answer("luna", revoke_found=True)
        assert (found(record), record.state) == ({late: FoundState.FAILED}, RunState.NOT_DONE)
        assert f"{late} is not revoked: revoke the service token" in " ".join(record.open_tasks())

    def test_a_signal_stops_before_the_next_one(self, site: Site) -> None:
        late = site.issue()
        calls: list[int] = []

        def stopped() -> bool:
            calls.append(1)
            return len(calls) > 2

        record = site.answer("luna", revoke_found=True, stopped=stopped)
        assert found(record) == {late: FoundState.FAILED}
        assert "stopped by a signal before its turn" in " ".join(record.open_tasks())


def test_a_signal_leaves_the_others_for_the_next_run(site: Site) -> None:
    record = site.answer(stopped=lambda: True)
    assert record.state is RunState.NOT_DONE
    assert {report.action for report in record.reports.values()} == {Action.FAILED}
    assert site.api.calls.count(MINT) == 0
    assert site.answer().state is RunState.DONE


def test_a_store_that_is_away_keeps_the_leaked_token_alive(site: Site) -> None:
    site.stores["luna"].append("away/luna.env")
    leaked = site.id_in("luna")
    record = site.answer("luna", revoke_found=True)
    assert (record.state, states(record)) == (RunState.NOT_DONE, {leaked: LeakedState.ALIVE})
    tasks = " ".join(record.open_tasks())
    assert "away/luna.env#NOCTURNA_SERVICE_TOKEN may still need it" in tasks
    assert f"leaked and not revoked: {leaked}; run the same command again, or revoke" in tasks
    assert "which tokens are in no store is not known while" in tasks
    new = site.id_in("luna")
    site.clock.advance(30 * DAY)
    (site.folder / "away").mkdir()
    record = site.answer("luna")
    assert (record.state, states(record)) == (RunState.DONE, {leaked: LeakedState.REVOKED})
    assert (site.id_in("luna"), site.api.calls.count(MINT)) == (new, 1)
    assert leaked not in site.live


def test_nothing_is_known_of_a_token_all_of_whose_stores_are_away(site: Site) -> None:
    site.stores["luna"] = ["away/luna.env"]
    record = site.answer("luna", revoke_found=True)
    assert record.state is RunState.NOT_DONE
    assert site.api.calls.count(MINT) == 0
    assert {site.id_in("sol"), site.id_in("nyx")} <= site.live


def test_a_list_that_cannot_be_read_stops_no_revocation(site: Site) -> None:
    leaked = site.id_in("luna")
    site.api.misbehave(Fault.json_of([{"id": "../x"}]), CALL_LIST, times=None)
    _, before = site.emergency("luna").examine()
    assert "token with no usable id" in " ".join(before.troubles)
    record = site.answer("luna")
    assert (record.state, states(record)) == (RunState.NOT_DONE, {leaked: LeakedState.REVOKED})
    assert "what else was made is not known" in " ".join(record.open_tasks())
    assert leaked not in site.live
    site.api.behave()
    assert site.answer("luna").state is RunState.DONE
    assert site.api.calls.count(MINT) == 1


def test_an_api_that_is_away_is_an_error_before_anything_is_done(site: Site) -> None:
    with Door(site.api.url) as door:
        site.url = door.url
        door.shut()
        with pytest.raises(ApiUnreachableError, match="nothing listens at the API's address"):
            site.answer("luna")


@pytest.mark.long
def test_an_api_that_goes_away_is_not_asked_for_each_of_a_fleet(site: Site) -> None:
    for number in range(20):
        site.stores[f"bot-{number}"] = [f"bot-{number}.env"]
        site.put(f"bot-{number}", site.api.issue(60))
    with Door(site.api.url) as door:
        site.url = door.url
        emergency = site.emergency()
        assessments, _ = emergency.examine()
        door.shut()
        reports = emergency.renew([each.name for each in assessments], lambda: False, nothing)
        assert len(reports) == 23
        assert {report.failure for report in reports} <= {"api-unreachable", "not-done"}
        assert sum("not begun, since the API" in str(each.error) for each in reports) >= 10
        door.open()
        assert site.answer().state is RunState.DONE


def test_an_api_that_has_too_much_to_do_gets_some_time(site: Site) -> None:
    site.api.misbehave(Fault.too_many(None), CALL_MINT)
    record = site.answer()
    assert record.state is RunState.DONE
    assert site.waited == [5.0]
    assert site.api.calls.count(MINT) == 3


def test_a_revocation_that_the_api_refuses_is_tried_again_and_told(site: Site) -> None:
    leaked = site.id_in("luna")
    site.api.misbehave(Fault.refusal(403), CALL_REVOKE, times=2)
    assert site.answer("luna").state is RunState.DONE
    site.api.misbehave(Fault.refusal(403), CALL_REVOKE, times=None)
    leaked = site.id_in("sol")
    record = site.answer("sol")
    assert (record.state, states(record)) == (RunState.NOT_DONE, {leaked: LeakedState.ALIVE})
    assert site.api.calls.count(MINT) == 2


def test_a_hook_that_fails_is_run_once_and_keeps_the_leaked_token_alive(site: Site) -> None:
    ran = site.folder / "ran"
    site.keys = f'hooks = [["sh", "-c", "echo >>{ran}; exit 3"]]\n'
    leaked = site.id_in("luna")
    record = site.answer("luna")
    assert (record.state, states(record)) == (RunState.NOT_DONE, {leaked: LeakedState.ALIVE})
    assert (site.waited, ran.read_text()) == ([], "\n")


@pytest.mark.parametrize("retire", ["never", "30d", "unused 24h", "unused 24h, at most 30d"])
def test_how_old_tokens_are_retired_otherwise_does_not_matter(site: Site, retire: str) -> None:
    site.keys = f'retire = "{retire}"\n'
    leaked = site.put("luna", site.api.issue(days=3))
    (rotation,) = wiring.build_rotations(site.settings, ["luna"], site.clock)
    assert rotation.rotate(RotateOptions()).error is None
    site.clock.advance(timedelta(hours=2))
    for row in site.api.tokens:
        row.last_used_at = site.clock()  # somebody uses them
    before = site.id_in("luna")
    record = site.answer("luna")
    assert record.state is RunState.DONE
    assert states(record) == {leaked: LeakedState.REVOKED, before: LeakedState.REVOKED}
    assert not {leaked, before} & site.live


def test_an_eternal_token_works_for_ever_as_a_bearer(site: Site) -> None:
    leaked = site.put("luna", site.api.issue(eternal=True))
    record = site.answer("luna")
    assert record.state is RunState.DONE
    assert f"{leaked} for ever" in " ".join(record.open_questions())
    record = site.answer("luna")  # which knows it from the journal alone
    assert f"{leaked} for ever" in " ".join(record.open_questions())


def test_who_waits_for_another_rotation_says_so(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    made = site.clock() - timedelta(seconds=3)
    site.api.issue(created_at=made, expires_at=made + 90 * DAY)
    young = site.api.tokens[-1].id
    intent = f"0123456789ab/2026-11-23T11:59:55Z/90/{scope_digest('calculations')}"
    site.put("luna", site.api.tokens[0].secret, f"# rotator: v=1 intent={intent}\n")

    def sleep(seconds: float) -> None:
        site.clock.advance(timedelta(seconds=seconds))

    emergency = site.emergency("luna", sleep=sleep)
    emergency.examine()
    (report,) = emergency.renew(["luna"], lambda: False, nothing)
    assert report.error is None
    assert young not in site.live
    told = [text for text in caplog.messages if "waiting for a rotation" in text]
    assert told == ["waiting for a rotation that is under way or was cut off, 2 minutes at most"]


def test_two_at_once_mint_one_token(site: Site) -> None:
    first, second = site.emergency("luna"), site.emergency("luna")
    for emergency in (first, second):
        emergency.examine()
    for emergency in (first, second):
        (report,) = emergency.renew(["luna"], lambda: False, nothing)
        assert report.error is None
    assert site.api.calls.count(MINT) == 1
    assert site.id_in("luna") in site.live

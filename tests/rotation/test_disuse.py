"""An old token ends once nobody uses it: by the API's list, and by nothing that proves less."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from rotator.clock import rfc3339
from rotator.config.settings import Unused
from rotator.embedded_api.api import ApiRequest, ApiResponse
from rotator.embedded_api.server import Serve
from rotator.errors import StoreUnreachableError
from rotator.rotation.model import Action, OldToken, OldTokenState
from rotator.rotation.policy import RotateOptions
from rotator.rotation.report import Report
from rotator.tokens import ServiceToken
from tests.rotation.disuse import (
    DAY,
    HOUR,
    MOMENT,
    UNUSED,
    USED_FOR_DAYS,
    only,
    row_of,
    run,
    text,
    use,
)
from tests.support.sandbox import Fault
from tests.support.stores import Failing, MeddledStore
from tests.support.world import EXCHANGE, LOGIN, World

LIST = ("GET", "/auth/admin/service-tokens", 200)
CALL_LIST = "GET /auth/admin/service-tokens"
CALL_EXCHANGE = "POST /auth/service-token/refresh"
CALL_REVOKE = "DELETE /auth/admin/service-tokens/{id}"
DOWN = StoreUnreachableError("b.env does not answer")


@pytest.fixture
def old(world: World) -> str:
    """A token that is due, and that outlives these tests."""
    secret = world.api.issue(days=USED_FOR_DAYS)
    world.put(secret)
    return secret


@pytest.mark.usefixtures("old")
def test_it_is_owed_from_the_moment_at_which_every_store_shows_the_new_one(world: World) -> None:
    old_id, begun = world.token().token_id, world.clock.now
    report = run(world)
    assert (report.action, report.error) == (Action.ROTATED, None)
    assert only(report) == OldToken(
        str(old_id), OldTokenState.WAITING, begun + DAY + timedelta(seconds=2), ends_unused=True
    )
    assert f" unused={old_id}/86400/-/2026-11-23T12:00:01Z/-/-/-\n" in text(world)
    # In this run nobody can have been quiet for long.
    assert world.api.calls[-1] == ("POST", EXCHANGE, 200)


def test_it_is_revoked_by_the_first_run_that_finds_it_unused_for_long_enough(
    world: World, old: str
) -> None:
    run(world)
    report = run(world, after=DAY)
    assert (only(report).state, world.api.accepts(old)) == (OldTokenState.WAITING, True)
    report = run(world, after=MOMENT)
    assert (report.action, report.error) == (Action.KEPT, None)
    assert (only(report).state, world.api.accepts(old)) == (OldTokenState.REVOKED, False)
    assert "owed=" not in text(world)
    assert "unused=" not in text(world)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "it was gone already"),
        ("us", "API us does not list it: was it another API's, rotator tokens revoke {}"),
    ],
)
def test_one_that_the_list_has_no_more_may_be_another_apis_where_there_are_several(
    world: World, old: str, name: str, said: str
) -> None:
    run(world)
    token_id = row_of(world, old).id
    world.api.revoke(token_id)
    world.clock.advance(DAY + HOUR)
    api = world.open_api(name=name)
    report = world.rotation(retire=UNUSED, api=api).rotate(RotateOptions())
    assert only(report).message == said.format(token_id)


def test_it_is_never_revoked_while_somebody_uses_it_now_and_then(world: World, old: str) -> None:
    run(world)
    for _ in range(5):
        world.clock.advance(20 * HOUR)
        use(world, old)
        report = run(world, after=HOUR)
        assert (only(report).state, report.error) == (OldTokenState.IN_USE, None)
        assert only(report).last_used_at == world.clock.now - HOUR
        assert only(report).due_at == world.clock.now + 23 * HOUR + timedelta(seconds=2)
    assert only(run(world, after=23 * HOUR)).state is OldTokenState.IN_USE
    assert only(run(world, after=MOMENT)).state is OldTokenState.REVOKED
    assert not world.api.accepts(old)


@pytest.mark.usefixtures("old")
def test_a_list_from_before_a_token_was_made_does_not_miss_it(world: World) -> None:
    shared = world.open_api()  # as a daemon has it, whose looks share a list for a minute
    rotation = world.rotation(retire=UNUSED, api=shared)
    for force in (False, True, False, True, False):
        rotation.rotate(RotateOptions(force=force))
        assert text(world).count("owed=") == len(world.api.tokens) - 1
        world.clock.advance(MOMENT)


@pytest.mark.usefixtures("old")
def test_the_list_is_asked_for_only_while_something_is_owed(world: World) -> None:
    run(world)
    lists = world.api.calls.count(LIST)
    for count in range(1, 4):
        run(world, after=HOUR)
        assert world.api.calls.count(LIST) == lists + count
    run(world, after=DAY)
    calls = world.api.calls.count(LIST), world.api.calls.count(LOGIN)
    run(world, after=HOUR)
    assert (world.api.calls.count(LIST), world.api.calls.count(LOGIN)) == calls


def test_one_list_serves_the_whole_fleet(world: World) -> None:
    files = [f"{name}.env" for name in ("luna", "sol", "nyx")]
    for file in files:
        world.put(world.api.issue(days=3), file)
    fleet = [world.store(file) for file in files]

    def run_all() -> list[Report]:
        shared = world.open_api()
        rotations = [
            world.rotation(store, fleet=fleet, api=shared, retire=UNUSED, name=file)
            for store, file in zip(fleet, files, strict=True)
        ]
        return [rotation.rotate(RotateOptions()) for rotation in rotations]

    run_all()
    lists = world.api.calls.count(LIST)
    world.clock.advance(25 * HOUR)
    assert [only(report).state for report in run_all()] == [OldTokenState.REVOKED] * 3
    assert world.api.calls.count(LIST) == lists + 1


def test_the_rotator_never_exchanges_a_token_that_it_has_replaced(world: World) -> None:
    exchanged: list[str] = []
    serve = world.api.middleware
    assert serve

    def watch(request: ApiRequest, call_next: Serve) -> ApiResponse:
        if request.path.endswith("/auth/service-token/refresh"):
            exchanged.append(str(request.authorization).removeprefix("Bearer "))
        return serve(request, call_next)

    world.put(first := world.api.issue(days=60))
    world.api.middleware = watch
    for _ in range(2):
        run(world, after=HOUR)
        replaced = world.secret()
        world.rotation(retire=UNUSED).rotate(RotateOptions(force=True))
        seen = len(exchanged)
        for _ in range(3):
            run(world, after=HOUR)
        world.rotation(retire=UNUSED).check(probe=True)
        assert not {first, replaced} & set(exchanged[seen:])
        assert world.secret() in exchanged[seen:]


# What the API may answer in the place of its list, to whoever waits for a token to fall quiet.
Rows = list[dict[str, object]]
Spoil = Callable[[Rows, World], object]
ODD: dict[str, Spoil] = {
    "a use that is yet to come": lambda rows, world: rows[1].update(
        last_used_at=rfc3339(world.clock.now + HOUR)
    ),
    "a use before the mint": lambda rows, _: rows[1].update(last_used_at="2020-01-01T00:00:00"),
    "a row that is there twice": lambda rows, _: rows.append(rows[1]),
    "a list out of a cache": lambda rows, _: rows[0].update(last_used_at=rows[0]["created_at"]),
    "a list of another database": lambda rows, _: rows.clear(),
    "a date that is none": lambda rows, _: rows[1].update(last_used_at="yesterday"),
    "a row without an id": lambda rows, _: rows[1].pop("id"),
}


def spoilt(world: World, spoil: Spoil) -> Fault:
    """Return an answer that is the API's list, but for something."""
    rows: Rows = [
        {
            "id": row.id,
            "user_id": row.user_id,
            "scope": row.scope,
            "created_at": rfc3339(row.created_at),
            "expires_at": rfc3339(row.expires_at),
            "last_used_at": rfc3339(row.last_used_at or world.clock.now),
        }
        for row in reversed(world.api.live_tokens())
    ]
    rows[0]["last_used_at"] = rfc3339(world.clock.now)
    rows[1]["last_used_at"] = None
    spoil(rows, world)
    return Fault.json_of(rows, work=False)


@pytest.mark.parametrize("spoil", ODD.values(), ids=ODD)
def test_what_proves_nothing_revokes_nothing_and_is_told(
    world: World, old: str, spoil: Spoil
) -> None:
    run(world)
    world.clock.advance(3 * DAY)
    world.api.misbehave(spoilt(world, lambda *_: None), CALL_LIST)
    world.api.misbehave(Fault.status(403), CALL_REVOKE)  # by a good list it would be revoked
    assert "is not revoked yet: revoke" in str(run(world).error)
    world.api.behave()
    world.api.misbehave(spoilt(world, spoil), CALL_LIST, times=None)
    for _ in range(3):
        report = run(world, after=HOUR)
        world.api.behave()
        world.api.misbehave(spoilt(world, spoil), CALL_LIST, times=None)
        assert only(report).state is OldTokenState.FAILED
        assert f"the old token {only(report).token_id} is not revoked yet: " in str(report.error)
        assert world.api.accepts(old)
    world.api.behave()
    assert only(run(world)).state is OldTokenState.REVOKED


def test_it_is_kept_while_the_api_refuses_the_one_that_replaced_it(world: World, old: str) -> None:
    run(world)
    world.clock.advance(3 * DAY)
    world.api.misbehave(Fault.refusal(401), CALL_EXCHANGE, times=None)
    report = world.rotation(retire=UNUSED, probe=False).rotate(RotateOptions())
    assert only(report).state is OldTokenState.FAILED
    refused = f"the API does not accept {world.token().name}, which replaced it"
    assert f"{only(report).token_id} is not revoked yet: {refused}" in str(report.error)
    assert world.api.accepts(old)


@pytest.mark.parametrize(
    "fault", [Fault.reset_before(), Fault.html(), Fault.status(403), Fault.json_of({}, work=False)]
)
def test_a_list_that_is_away_is_a_failure_once_the_token_could_be_due(
    world: World, old: str, fault: Fault
) -> None:
    run(world)
    world.api.misbehave(fault, CALL_LIST, times=None)
    report = run(world, after=HOUR)
    assert (only(report).state, report.error) == (OldTokenState.WAITING, None)
    assert "list the service tokens" in str(only(report).message)
    report = run(world, after=DAY)
    assert only(report).state is OldTokenState.FAILED
    assert "is not revoked yet: list the service tokens" in str(report.error)
    assert world.api.accepts(old)


def test_a_use_that_moved_back_begins_the_time_anew_and_is_told_once(
    world: World, old: str
) -> None:
    run(world)
    use(world, old)
    run(world, after=2 * HOUR)
    row_of(world, old).last_used_at = world.clock.now - 3 * DAY  # a backup was restored
    report = run(world, after=DAY)
    assert "its last use was 2026-11-23 12:00 UTC, and is 2026-11-20" in str(report.error)
    report = run(world, after=DAY)
    assert (only(report).state, report.error) == (OldTokenState.WAITING, None)
    assert only(run(world, after=HOUR)).state is OldTokenState.REVOKED


@pytest.mark.parametrize("ahead", [40 * DAY, -40 * DAY])
def test_the_servers_clock_counts(world: World, old: str, ahead: timedelta) -> None:
    run(world)

    def clock() -> datetime:
        return world.clock.now + ahead

    def run_there(after: timedelta) -> Report:
        world.clock.advance(after)
        there = world.rotation(retire=UNUSED, clock=clock, api=world.open_api(clock))
        return there.rotate(RotateOptions())

    assert only(run_there(HOUR)).state is OldTokenState.WAITING
    use(world, old)
    assert only(run_there(23 * HOUR)).state is OldTokenState.IN_USE
    assert world.api.accepts(old)
    run_there(2 * HOUR)
    assert not world.api.accepts(old)


@pytest.mark.parametrize("trouble", ["unreachable", "behind"])
def test_a_store_that_may_show_it_keeps_it(world: World, old: str, trouble: str) -> None:
    world.put(old, "b.env")
    obstacle = Failing(DOWN)
    stubborn = {
        "unreachable": MeddledStore(world.store("b.env"), before_read=obstacle),
        "behind": MeddledStore(world.store("b.env"), before_write=obstacle),
    }[trouble]
    stores = world.store(), stubborn
    for _ in range(3):
        report = world.rotation(*stores, retire=UNUSED).rotate(RotateOptions())
        assert only(report).state is OldTokenState.WAITING
        world.clock.advance(DAY + HOUR)
    assert world.api.accepts(old)
    both = world.store(), world.store("b.env")
    converged = world.rotation(*both, retire=UNUSED).rotate(RotateOptions())
    assert (converged.action, only(converged).state) == (Action.CONVERGED, OldTokenState.WAITING)
    world.clock.advance(DAY + MOMENT)
    done = world.rotation(*both, retire=UNUSED).rotate(RotateOptions())
    assert only(done).state is OldTokenState.REVOKED


def test_a_hook_that_fails_keeps_it(world: World, old: str) -> None:
    hook = ("sh", "-c", f"test -e {world.folder}/works")
    for _ in range(3):
        report = world.rotation(retire=UNUSED, hooks=(hook,)).rotate(RotateOptions())
        assert only(report).state is OldTokenState.WAITING
        world.clock.advance(DAY + HOUR)
    (world.folder / "works").touch()
    for _ in range(2):
        assert world.api.accepts(old)
        world.rotation(retire=UNUSED, hooks=(hook,)).rotate(RotateOptions())
        world.clock.advance(DAY + MOMENT)
    world.rotation(retire=UNUSED, hooks=(hook,)).rotate(RotateOptions())
    assert not world.api.accepts(old)


def test_a_store_of_another_token_keeps_it(world: World, old: str) -> None:
    world.put(old, "sol.env")
    fleet = [world.store(), world.store("sol.env")]
    world.rotation(fleet=fleet, retire=UNUSED).rotate(RotateOptions())
    world.clock.advance(2 * DAY)
    report = world.rotation(fleet=fleet, retire=UNUSED).rotate(RotateOptions())
    assert "may still need it: renew it there, too" in str(report.error)
    assert world.api.accepts(old)


def test_a_token_that_was_put_back_for_a_while_is_waited_for_anew(world: World, old: str) -> None:
    world.put(old, "b.env")
    both = world.store(), world.store("b.env")
    world.rotation(*both, retire=UNUSED).rotate(RotateOptions())
    world.put(old, "b.env")  # without its journal: nothing tells that it is old
    world.clock.advance(23 * HOUR)
    report = world.rotation(*both, retire=UNUSED).rotate(RotateOptions())
    assert report.action is Action.CONVERGED
    world.clock.advance(2 * HOUR)
    world.rotation(*both, retire=UNUSED).rotate(RotateOptions())
    assert world.api.accepts(old)


def test_at_most_is_told_a_day_before_and_kept(world: World, old: str) -> None:
    retire = Unused(DAY, 3 * DAY)
    run(world, retire)
    for hours in range(6, 54, 6):
        world.clock.advance(HOUR)
        use(world, old)
        report = run(world, retire, after=5 * HOUR)
        assert only(report).state is OldTokenState.IN_USE
        assert bool(report.error) == (hours == 48)
    assert only(report).at_most == datetime(2026, 11, 26, 12, tzinfo=world.clock.now.tzinfo)
    assert "is still in use, and is revoked at 2026-11-26 12:00 UTC all the same: " in str(
        report.error
    )
    world.clock.advance(23 * HOUR)
    use(world, old)
    report = run(world, retire, after=HOUR + MOMENT)
    assert only(report).state is OldTokenState.REVOKED
    assert "though it was last used 2026-11-26 11:00 UTC" in str(report.error)
    assert not world.api.accepts(old)
    assert run(world, retire).error is None


def test_at_most_is_no_failure_where_nobody_uses_it(world: World, old: str) -> None:
    retire = Unused(2 * DAY, 2 * DAY + HOUR)
    run(world, retire)
    assert run(world, retire, after=47 * HOUR).error is None
    report = run(world, retire, after=2 * HOUR)
    assert (only(report).state, report.error) == (OldTokenState.REVOKED, None)
    assert not world.api.accepts(old)


@pytest.mark.parametrize("fault", [Fault.json_of({}, work=False), Fault.status(403)])
def test_at_most_needs_no_list(world: World, old: str, fault: Fault) -> None:
    retire = Unused(DAY, 2 * DAY)
    run(world, retire)
    world.api.misbehave(fault, CALL_LIST, times=None)
    report = run(world, retire, after=2 * DAY - MOMENT)
    assert (only(report).state, world.api.accepts(old)) == (OldTokenState.FAILED, True)
    report = run(world, retire, after=2 * MOMENT)
    assert (only(report).state, world.api.accepts(old)) == (OldTokenState.REVOKED, False)
    assert "was revoked at the end of the most time that it may have, though list the" in str(
        report.error
    )


def test_at_most_needs_a_right_date(world: World, old: str) -> None:
    retire = Unused(DAY, 2 * DAY)
    run(world, retire)
    world.clock.advance(2 * DAY + MOMENT)
    world.api.misbehave(spoilt(world, ODD["a list out of a cache"]), CALL_LIST)
    report = run(world, retire)
    assert (only(report).state, world.api.accepts(old)) == (OldTokenState.FAILED, True)


def test_a_token_that_ends_by_itself_first_is_done(world: World, old: str) -> None:
    run(world)
    for _ in range(8):
        world.clock.advance(HOUR)
        use(world, old)
        assert only(run(world, after=19 * HOUR)).state is OldTokenState.IN_USE
    report = run(world, after=6 * HOUR)
    assert (only(report).state, report.error) == (OldTokenState.EXPIRED, None)
    assert not [call for call in world.api.calls if call[0] == "DELETE"]
    assert "owed=" not in text(world)
    assert run(world).old_tokens == ()


def test_after_a_leak_it_is_revoked_at_once(world: World, old: str) -> None:
    run(world)
    use(world, old)
    run(world, after=HOUR)
    report = world.rotation(retire=UNUSED).rotate(RotateOptions(revoke_old=True))
    assert (only(report).state, report.error) == (OldTokenState.REVOKED, None)
    assert not world.api.accepts(old)


def test_it_is_watched_as_it_was_noted_whatever_is_configured_since(world: World, old: str) -> None:
    run(world)
    world.clock.advance(DAY + MOMENT)
    assert only(world.rotation(retire=None).rotate(RotateOptions())).state is OldTokenState.REVOKED
    assert not world.api.accepts(old)


def test_a_journal_that_lost_its_disuse_lets_the_token_live_until_its_end(
    world: World, old: str
) -> None:
    run(world)
    (world.folder / ".env").write_text(re.sub(r" unused=\S+", "", text(world)))
    report = run(world, after=6 * DAY)
    assert (only(report).state, world.api.accepts(old)) == (OldTokenState.WAITING, True)


def test_an_eternal_token_is_revoked_as_well(world: World) -> None:
    world.put(eternal := world.api.issue(eternal=True))
    world.rotation(retire=UNUSED).rotate(RotateOptions(force=True))
    run(world, after=30 * HOUR)
    assert not world.api.accepts(eternal)


def test_of_many_none_is_revoked_early(world: World) -> None:
    world.put(world.api.issue(days=60))
    secrets = [world.secret()]
    for _ in range(10):
        world.rotation(retire=UNUSED).rotate(RotateOptions(force=True))
        secrets.append(world.secret())
        world.clock.advance(HOUR)
    assert all(map(world.api.accepts, secrets))
    assert text(world).count("unused=") == 8
    known = world.store().read().journal.old_ids
    assert {ServiceToken.parse(secret).token_id for secret in secrets[:-1]} == known
    run(world, after=DAY)
    assert [world.api.accepts(secret) for secret in secrets] == [True] * 2 + [False] * 8 + [True]

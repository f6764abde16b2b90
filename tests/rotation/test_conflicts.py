from datetime import timedelta
from itertools import count

import pytest

from rotator.errors import ConflictError, StoreUnreachableError, UnconfirmedWriteError
from rotator.rotation.model import Action
from rotator.rotation.policy import RotateOptions, Status
from rotator.stores.journal import Intent
from rotator.tokens import ServiceToken
from tests.rotation.failing import (
    assert_only_the_old_one_lives,
    assert_the_next_run_revokes,
    failed,
)
from tests.support.sandbox import Fault
from tests.support.stores import Failing, MeddledStore, SharedStore
from tests.support.world import World

CALL_EXCHANGE = "POST /auth/service-token/refresh"
CALL_REVOKE = "DELETE /auth/admin/service-tokens/{id}"


def test_the_loser_of_a_race_revokes_its_own_token_and_takes_the_winners(
    world: World, old: str
) -> None:
    theirs = world.api.issue(days=90)
    store = MeddledStore(world.store(), before_write=lambda: world.put(theirs))
    report = world.rotation(store).rotate(RotateOptions())
    assert (report.action, report.status) == (Action.SKIPPED, Status.OK)
    assert report.message.startswith("another rotator was faster")
    assert report.token_id == ServiceToken.parse(theirs).token_id
    assert {row.secret for row in world.api.live_tokens()} == {old, theirs}


def test_who_loses_to_what_is_no_token_tells_that_the_bot_has_none(world: World, old: str) -> None:
    store = MeddledStore(world.store(), before_write=lambda: world.put("changeme"))
    report = failed(world, store)
    assert (report.status, report.reason) == (Status.INVALID, "garbage")
    assert {row.secret for row in world.api.live_tokens()} == {old}


def test_a_loser_that_cannot_revoke_its_own_token_names_it(world: World, old: str) -> None:
    theirs = world.api.issue(days=90)
    world.api.misbehave(Fault.status(403), CALL_REVOKE)
    store = MeddledStore(world.store(), before_write=lambda: world.put(theirs))
    report = failed(world, store)
    (ours,) = [r for r in world.api.live_tokens() if r.secret not in (old, theirs)]
    assert world.secret() == theirs
    assert_the_next_run_revokes(world, ours, report)


def test_who_loses_to_a_note_leaves_no_intent_and_tries_again(world: World, old: str) -> None:
    notes = count(1)
    path, previous = world.folder / ".env", "8b619710-529d-4b96-bf6f-b8be32ea6cd0"

    def finish_earlier_rotation() -> None:
        if next(notes) == 2:  # the first note is the intent, the second adds the token's id
            text = path.read_text()
            path.write_text(text.replace("# rotator: v=1", f"# rotator: v=1 previous={previous}"))

    store = MeddledStore(world.store(), before_note=finish_earlier_rotation)
    report = world.rotation(store).rotate(RotateOptions())
    assert (report.action, report.error, world.mints()) == (Action.ROTATED, None, 2)
    assert intents_left(world) == ()
    assert {row.secret for row in world.api.live_tokens()} == {old, world.secret()}


def test_a_conflict_with_our_own_write_does_not_revoke_the_token_in_use(
    world: World, old: str
) -> None:
    repeated = ConflictError("the first answer was lost, and the write repeated")
    report = world.rotation(MeddledStore(world.store(), after_write=Failing(repeated))).rotate(
        RotateOptions()
    )
    assert (report.action, report.error) == (Action.ROTATED, None)
    assert world.secret() != old
    assert world.api.accepts(world.secret())


def test_a_conflict_with_somebody_who_wrote_nonsense_fails(world: World) -> None:
    world.put(world.api.issue(days=3))
    store = MeddledStore(world.store(), before_write=lambda: world.put("nonsense"))
    report = failed(world, store)
    assert world.secret() == "nonsense"
    assert str(report.error).endswith("it was revoked")
    assert len(world.api.live_tokens()) == 1


def test_a_conflict_in_a_second_store_leaves_it_behind(world: World, old: str) -> None:
    error = ConflictError("b.env: somebody else changed it")
    second = MeddledStore(world.store("b.env"), before_write=Failing(error))
    report = world.rotation(world.store(), second).rotate(RotateOptions())
    assert (report.action, report.error) == (Action.ROTATED, "b.env: somebody else changed it")
    assert world.secret() != old


def test_a_note_at_the_end_that_another_ones_came_before_is_made_again(
    world: World, old: str
) -> None:
    third = Failing(ConflictError("somebody noted something"), 3)
    store = MeddledStore(world.store(), before_note=third)
    report = world.rotation(store, retire=timedelta()).rotate(RotateOptions())
    assert (report.action, report.error) == (Action.ROTATED, None)
    assert not world.api.accepts(old)
    assert world.store().read().journal.pending == ()


def test_a_note_at_the_end_that_never_gets_through_is_told_and_left_to_the_next_run(
    world: World, old: str
) -> None:
    crowd = Failing(ConflictError("somebody noted something"), *range(3, 100))
    store = MeddledStore(world.store(), before_note=crowd)
    report = world.rotation(store, retire=timedelta()).rotate(RotateOptions())
    assert (report.action, report.error) == (Action.ROTATED, "somebody noted something")
    assert world.rotation(retire=timedelta()).rotate(RotateOptions()).error is None
    assert not world.api.accepts(old)
    assert world.store().read().journal.pending == ()


def test_a_store_that_falls_silent_when_its_conflict_is_looked_into_is_told(
    world: World, old: str
) -> None:
    calls, gone = count(1), Failing(StoreUnreachableError("the store is gone"))
    away = False

    def conflict() -> None:
        nonlocal away
        if next(calls) == 3:
            away = True
            raise ConflictError("somebody noted something")

    def unreachable() -> None:
        if away:
            gone()

    store = MeddledStore(world.store(), before_note=conflict, before_read=unreachable)
    report = world.rotation(store, retire=timedelta()).rotate(RotateOptions())
    assert (report.action, report.error) == (Action.ROTATED, "the store is gone")
    assert world.rotation(retire=timedelta()).rotate(RotateOptions()).error is None
    assert not world.api.accepts(old)


@pytest.mark.usefixtures("old")
def test_who_is_overtaken_at_the_end_leaves_the_rest_to_the_other(world: World) -> None:
    calls = count(1)

    def overtake() -> None:
        if next(calls) == 3:
            world.rotation(retire=timedelta()).rotate(RotateOptions(force=True))

    store = SharedStore(world.store(), before_note=overtake)
    report = world.rotation(store, retire=timedelta()).rotate(RotateOptions())
    assert (report.action, report.error) == (Action.ROTATED, None)
    assert [row.secret for row in world.api.live_tokens()] == [world.secret()]
    assert world.store().read().journal.pending == ()


def test_a_leak_is_not_left_to_whoever_replaced_the_token_meanwhile(world: World, old: str) -> None:
    world.rotation().rotate(RotateOptions())
    calls = count(1)

    def overtake() -> None:
        if next(calls) == 1:
            world.rotation().rotate(RotateOptions(force=True))

    store = SharedStore(world.store(), before_note=overtake)
    report = world.rotation(store).rotate(RotateOptions(revoke_old=True))
    assert "has replaced the token meanwhile: run again" in str(report.error)
    assert world.api.accepts(old)


def test_the_token_of_a_write_that_may_still_arrive_is_not_revoked(world: World, old: str) -> None:
    silence = Failing(StoreUnreachableError("the answer was lost"), 1)
    store = SharedStore(world.store(), before_write=silence)
    report = failed(world, store)
    assert "the write may still arrive there" in str(report.error)
    (ours,) = [row.secret for row in world.api.live_tokens() if row.secret != old]
    found = world.store().read()
    world.store().write(ours, found.journal, expected=found.version)
    world.clock.advance(timedelta(minutes=4))
    report = world.rotation(SharedStore(world.store())).rotate(RotateOptions())
    assert (report.error, world.secret()) == (None, ours)
    assert world.api.accepts(ours)
    assert world.store().read().journal.intents == ()


def test_the_token_of_a_write_that_never_arrived_is_revoked_later(world: World, old: str) -> None:
    silence = Failing(StoreUnreachableError("nobody got it"), 1)
    failed(world, SharedStore(world.store(), before_write=silence))
    (lost,) = [row.secret for row in world.api.live_tokens() if row.secret != old]
    world.clock.advance(timedelta(minutes=4))
    report = world.rotation(SharedStore(world.store())).rotate(RotateOptions())
    assert (report.action, report.error) == (Action.ROTATED, None)
    assert not world.api.accepts(lost)


def test_a_token_that_was_revoked_while_it_was_written_is_no_success(
    world: World, old: str
) -> None:
    def sleep_and_be_taken_for_dead() -> None:
        world.clock.advance(timedelta(minutes=3))
        (ours,) = [row for row in world.api.live_tokens() if row.secret != old]
        world.api.revoke(ours.id)

    store = SharedStore(world.store(), before_write=sleep_and_be_taken_for_dead)
    report = failed(world, store, retire=timedelta())
    assert "was revoked while it was written" in str(report.error)
    assert world.api.accepts(old)
    assert world.rotation(retire=timedelta()).rotate(RotateOptions()).error is None
    assert [row.secret for row in world.api.live_tokens()] == [world.secret()]


@pytest.mark.parametrize("fault", [Fault.status(503), Fault.status(403), Fault.reset_before()])
def test_a_late_token_that_nobody_can_vouch_for_stays_in_its_store_and_valid(
    world: World, old: str, fault: Fault
) -> None:
    def sleep_while_the_api_goes_away() -> None:
        world.clock.advance(timedelta(minutes=3))
        world.api.misbehave(fault, CALL_EXCHANGE, times=None)

    store = SharedStore(world.store(), before_write=sleep_while_the_api_goes_away)
    report = world.rotation(store, retire=timedelta()).rotate(RotateOptions())
    assert "in its first store" in str(report.error)
    world.api.behave()
    assert world.api.accepts(world.secret())
    assert world.api.accepts(old)
    report = world.rotation(retire=timedelta()).rotate(RotateOptions())
    assert (report.action, report.error) == (Action.KEPT, None)
    assert [row.secret for row in world.api.live_tokens()] == [world.secret()]


def test_a_token_whose_write_was_not_confirmed_is_told_and_kept_where_the_store_shows_it(
    world: World, old: str
) -> None:
    doubt = Failing(UnconfirmedWriteError("the journal was left out"), 1)
    report = failed(world, SharedStore(world.store(), after_write=doubt))
    assert "the journal was left out" in str(report.error)
    assert "is in that store all the same" in str(report.error)
    assert world.secret() != old
    assert world.api.accepts(world.secret() or "")


def test_a_token_whose_write_was_not_confirmed_is_revoked_where_the_store_does_not_show_it(
    world: World, old: str
) -> None:
    doubt = Failing(UnconfirmedWriteError("the value was changed"), 1)
    failed(world, SharedStore(world.store(), before_write=doubt))
    assert_only_the_old_one_lives(world, old)


def test_a_token_that_was_revoked_while_it_was_written_is_renewed_at_once(
    world: World, old: str
) -> None:
    times = count(1)

    def sleep_and_be_taken_for_dead() -> None:
        if next(times) == 1:
            world.clock.advance(timedelta(minutes=3))
            (ours,) = [row for row in world.api.live_tokens() if row.secret != old]
            world.api.revoke(ours.id)

    store = SharedStore(world.store(), before_write=sleep_and_be_taken_for_dead)
    report = world.rotation(store, retire=timedelta(), probe=False).rotate(RotateOptions())
    assert (report.action, report.error) == (Action.ROTATED, None)
    assert [row.secret for row in world.api.live_tokens()] == [world.secret()]
    assert world.store().read().journal.pending == ()


def revoked(world: World) -> str:
    """Return a token that looks good and is refused."""
    secret = world.api.issue(days=90)
    world.api.revoke(world.api.tokens[-1].id)
    return secret


@pytest.mark.parametrize("is_replaced", [False, True], ids=["line changed", "file replaced"])
def test_who_is_overtaken_by_a_token_that_works_nowhere_writes_its_own(
    world: World, old: str, *, is_replaced: bool
) -> None:
    dead, path, times = revoked(world), world.folder / ".env", count(1)

    def put_back() -> None:
        if next(times) > 1:
            return
        if is_replaced:
            world.put(dead)
        else:
            path.write_text(path.read_text().replace(old, dead))

    store = MeddledStore(world.store(), before_write=put_back)
    report = world.rotation(store, probe=False).rotate(RotateOptions())
    assert (report.action, report.error) == (Action.ROTATED, None)
    assert {row.secret for row in world.api.live_tokens()} == {old, world.secret()}
    assert world.mints() == 1
    assert intents_left(world) == ()


def test_who_is_overtaken_late_by_a_token_that_works_nowhere_mints_another_one(
    world: World, old: str
) -> None:
    dead, times = revoked(world), count(1)

    def sleep_and_be_overtaken() -> None:
        if next(times) == 1:
            world.clock.advance(timedelta(minutes=3))
            world.put(dead)

    store = SharedStore(world.store(), before_write=sleep_and_be_overtaken)
    report = world.rotation(store, probe=False).rotate(RotateOptions())
    assert (report.action, report.error) == (Action.ROTATED, None)
    assert {row.secret for row in world.api.live_tokens()} == {old, world.secret()}
    assert world.mints() == 2
    assert intents_left(world) == ()


def test_who_slept_and_was_taken_for_dead_is_told_that_its_token_is_gone(world: World) -> None:
    world.put(old := world.api.issue(days=60))

    def sleep_and_be_taken_for_dead() -> None:
        world.clock.advance(timedelta(minutes=3))
        other = world.rotation(SharedStore(world.store())).rotate(RotateOptions())
        assert (other.action, other.error) == (Action.KEPT, None)
        assert len(other.remarks) == 1

    store = SharedStore(world.store(), before_write=sleep_and_be_taken_for_dead)
    report = world.rotation(store).rotate(RotateOptions(force=True))
    assert report.action is Action.FAILED
    assert "somebody else changed" in str(report.error)
    assert world.secret() == old
    assert [row.secret for row in world.api.live_tokens()] == [old]
    assert intents_left(world) == ()


def test_a_losers_token_that_the_list_dates_otherwise_is_named_and_left_alone(
    world: World, old: str
) -> None:
    theirs = world.api.issue(days=90)

    def put_theirs() -> None:
        ours = world.api.tokens[-1]
        ours.created_at -= timedelta(minutes=5)
        ours.expires_at -= timedelta(minutes=5)
        world.put(theirs)

    report = failed(world, MeddledStore(world.store(), before_write=put_theirs))
    (ours,) = [row for row in world.api.live_tokens() if row.secret not in (old, theirs)]
    assert f"revoke {ours.id} by hand if nobody uses it" in str(report.error)
    assert world.secret() == theirs


def test_whose_answer_took_so_long_that_its_token_was_revoked_takes_the_other_one(
    world: World, old: str
) -> None:
    times = count(1)

    def sleep_and_be_replaced() -> None:
        if next(times) == 2:  # with the answer in hand, before its token is noted
            world.clock.advance(timedelta(minutes=3, seconds=5))
            other = world.rotation(SharedStore(world.store())).rotate(RotateOptions())
            assert (other.action, other.error) == (Action.ROTATED, None)

    store = SharedStore(world.store(), before_note=sleep_and_be_replaced)
    report = world.rotation(store).rotate(RotateOptions())
    assert (report.action, report.error) == (Action.SKIPPED, None)
    assert {row.secret for row in world.api.live_tokens()} == {old, world.secret()}
    assert intents_left(world) == ()


def test_who_is_overtaken_asks_about_the_winners_token_before_its_own_is_revoked(
    world: World, old: str
) -> None:
    theirs = world.api.issue(days=90)
    store = MeddledStore(world.store(), before_write=lambda: world.put(theirs))
    world.rotation(store, probe=False).rotate(RotateOptions())
    assert world.secret() == theirs
    assert world.api.accepts(old)
    calls = [f"{method} {path}" for method, path, _ in world.api.calls]
    revoke = next(number for number, call in enumerate(calls) if call.startswith("DELETE "))
    before = [call for call in calls[:revoke] if call == CALL_EXCHANGE]
    assert len(before) == 2  # of its own, and of the winner's


def test_a_refused_token_is_not_copied_but_renewed(world: World) -> None:
    world.put(revoked(world))
    world.put(world.api.issue(days=60), "b.env")
    rotation = world.rotation(world.store(), world.store("b.env"), probe=False)
    report = rotation.rotate(RotateOptions())
    assert (report.action, report.error) == (Action.ROTATED, None)
    assert world.secret() == world.secret("b.env")
    assert world.api.accepts(world.secret())


def intents_left(world: World) -> tuple[Intent, ...]:
    return world.store().read().journal.intents

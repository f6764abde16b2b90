from dataclasses import replace
from datetime import timedelta

import pytest

from rotator import wiring
from rotator.config.settings import ApiSettings, Secret
from rotator.errors import StoreDeniedError, StoreError, StoreUnreachableError
from rotator.rotation.model import Action
from rotator.rotation.observe import observe
from rotator.rotation.policy import RotateOptions, Status
from tests.rotation.failing import (
    assert_only_the_old_one_lives,
    assert_the_next_run_revokes,
    failed,
)
from tests.support.sandbox import Fault
from tests.support.stores import Failing, MeddledStore
from tests.support.world import EXCHANGE, MINT, World

FULL = StoreError("the disk is full")
DENIED = StoreDeniedError("may not write: grant it")
CALL_MINT = "POST /auth/admin/service-tokens"
CALL_EXCHANGE = "POST /auth/service-token/refresh"
CALL_REVOKE = "DELETE /auth/admin/service-tokens/{id}"


def test_a_store_that_cannot_be_written_stops_everything_before_any_call(
    world: World, old: str
) -> None:
    store = MeddledStore(world.store(), before_preflight=Failing(DENIED))
    report = failed(world, store)
    assert report.error == "may not write: grant it"
    assert world.api.calls == []
    assert world.secret() == old


def test_a_second_store_that_cannot_be_written_stops_everything_too(world: World, old: str) -> None:
    second = MeddledStore(world.store("b.env"), before_preflight=Failing(DENIED))
    failed(world, world.store(), second)
    assert world.api.calls == []
    assert world.secret() == old


def test_a_dry_run_notices_a_store_that_cannot_be_written(world: World, old: str) -> None:
    store = MeddledStore(world.store(), before_preflight=Failing(DENIED))
    report = world.rotation(store).rotate(RotateOptions(dry_run=True))
    assert (report.action, report.error) == (Action.FAILED, "may not write: grant it")
    assert world.api.calls == []
    assert world.secret() == old


def test_a_dry_run_notices_a_store_that_cannot_take_a_copy(world: World) -> None:
    world.put(world.api.issue(days=60))
    second = MeddledStore(world.store("b.env"), before_preflight=Failing(DENIED))
    report = world.rotation(world.store(), second).rotate(RotateOptions(dry_run=True))
    assert (report.action, report.error) == (Action.FAILED, "may not write: grant it")


@pytest.mark.parametrize(
    "fault",
    [Fault.reset_before(), Fault.reset_after(), Fault.server_error(), Fault.truncated()],
    ids=["reset", "reset-after", "500-with-token", "truncated"],
)
def test_a_mint_without_a_usable_answer_keeps_the_old_token_and_is_not_repeated(
    world: World, old: str, fault: Fault
) -> None:
    world.api.misbehave(fault, CALL_MINT)
    report = failed(world)
    assert "a token may have been made all the same" in str(report.error)
    assert world.secret() == old
    assert sum(call[:2] == MINT[:2] for call in world.api.calls) == 1


def test_a_new_token_that_the_server_does_not_accept_is_revoked(world: World, old: str) -> None:
    world.api.misbehave(Fault.refusal(401), CALL_EXCHANGE)
    report = failed(world)
    assert "is not usable" in str(report.error)
    assert "it was revoked" in str(report.error)
    assert_only_the_old_one_lives(world, old)


def test_a_new_token_that_cannot_be_tried_is_revoked(world: World, old: str) -> None:
    world.api.misbehave(Fault.server_error(), CALL_EXCHANGE, times=None)
    failed(world)
    assert_only_the_old_one_lives(world, old)


def test_a_wrong_clock_is_noticed_before_anything_is_written(world: World, old: str) -> None:
    ahead = world.clock.now + timedelta(days=30)
    report = world.rotation(clock=lambda: ahead).rotate(RotateOptions())
    assert report.action is Action.FAILED
    assert "this machine's clock is 30 days ahead of the API's: set it right" in str(report.error)
    assert_only_the_old_one_lives(world, old)


def test_a_full_disk_gives_the_new_token_back(world: World, old: str) -> None:
    report = failed(world, MeddledStore(world.store(), before_write=Failing(FULL)))
    assert str(report.error).startswith("the disk is full; the new token ")
    assert str(report.error).endswith("it was revoked")
    assert_only_the_old_one_lives(world, old)


def test_a_write_that_failed_and_arrived_all_the_same_counts(world: World, old: str) -> None:
    store = MeddledStore(world.store(), after_write=Failing(FULL))
    report = world.rotation(store).rotate(RotateOptions())
    assert (report.action, report.error) == (Action.ROTATED, None)
    assert world.secret() != old
    assert world.api.accepts(world.secret())


def test_a_token_that_may_have_been_stored_is_not_revoked(world: World, old: str) -> None:
    lost = StoreUnreachableError("the connection is gone")
    # Read before and under the lock; written, and then not read again.
    store = MeddledStore(world.store(), after_write=Failing(lost), before_read=Failing(lost, 3))
    report = failed(world, store)
    assert "does not tell whether it took the new token" in str(report.error)
    assert world.secret() != old
    assert world.api.accepts(world.secret())


def test_a_new_token_that_cannot_be_given_back_is_named(world: World, old: str) -> None:
    world.api.misbehave(Fault.status(403), CALL_REVOKE)
    report = failed(world, MeddledStore(world.store(), before_write=Failing(FULL)))
    left_over = next(row for row in world.api.live_tokens() if row.secret != old)
    assert_the_next_run_revokes(world, left_over, report)


def test_a_store_that_is_lost_while_waiting_stops_before_a_mint(world: World) -> None:
    lost = StoreUnreachableError("the connection is gone")
    report = failed(world, MeddledStore(world.store(), before_read=Failing(lost, 2)))
    assert (report.status, report.error) == (Status.UNKNOWN, "the connection is gone")
    assert world.api.calls == []


@pytest.mark.parametrize(
    "fault",
    [
        Fault.html(404),
        Fault.json_of({"success": False}, work=False),
        Fault.json_of(None, work=False),
    ],
    ids=["404 of a proxy", "no success", "null"],
)
def test_a_revocation_is_claimed_only_when_it_happened(
    world: World, old: str, fault: Fault
) -> None:
    world.put(old)
    world.api.misbehave(fault, CALL_REVOKE)
    report = failed(world, MeddledStore(world.store(), before_write=Failing(FULL)))
    assert len(world.api.live_tokens()) == 2
    left_over = next(row for row in world.api.live_tokens() if row.secret != old)
    assert "it could not be revoked" in str(report.error)
    assert_the_next_run_revokes(world, left_over, report)


def test_a_token_that_is_gone_already_counts_as_revoked(world: World, old: str) -> None:
    def vanish() -> None:
        world.api.revoke(world.api.tokens[-1].id)
        raise FULL

    report = failed(world, MeddledStore(world.store(), before_write=vanish))
    assert str(report.error).endswith("it was revoked")
    assert_only_the_old_one_lives(world, old)


def test_a_lost_password_does_not_hide_the_token_that_is_left(world: World, old: str) -> None:
    password = world.folder / "password"
    password.write_text(world.api.admin_password)
    email = Secret("test", value=world.api.admin_email)
    settings = ApiSettings(world.api.url, email, Secret("test", file=password))

    def lose_session() -> None:
        password.unlink()
        world.api.misbehave(Fault.refusal(401), CALL_REVOKE)
        world.api.misbehave(Fault.refusal(401), "POST /auth/refresh")
        raise FULL

    store = MeddledStore(world.store(), before_write=lose_session)
    api = wiring.lazy_api(settings, world.clock)
    report = world.rotation(store, api=api).rotate(RotateOptions())
    left_over = next(row for row in world.api.live_tokens() if row.secret != old)
    assert_the_next_run_revokes(world, left_over, report)


@pytest.mark.parametrize("probe", [True, False])
def test_a_token_that_could_not_be_replaced_is_asked_about_unless_probe_is_off(
    world: World, *, probe: bool
) -> None:
    world.put(world.api.issue(days=60))
    world.api.misbehave(Fault.refusal(403), CALL_MINT)
    report = world.rotation(probe=probe).rotate(RotateOptions(force=True))
    assert report.failure == "not-admin"
    assert (("POST", EXCHANGE, 200) in world.api.calls) is probe


def test_a_store_whose_note_fails_stays_among_those_that_were_read(world: World) -> None:
    for file in (".env", "b.env"):
        world.put(world.api.issue(), file)
    second = MeddledStore(world.store("b.env"), before_note=Failing(DENIED))
    before = observe([world.store(), second], world.clock())
    after, troubles = before.note(lambda each: replace(each.journal, minted_at=world.clock()))
    assert troubles == [str(DENIED)]
    assert [each.store.url for each in after.reachable] == [world.store().url, second.url]
    assert [each.journal.minted_at for each in after.reachable] == [world.clock(), None]

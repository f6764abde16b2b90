"""Somebody puts a token back that the rotator has replaced: a controller, a template, a person."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from rotator.errors import StoreError, StoreUnreachableError
from rotator.rotation.model import Action
from rotator.rotation.policy import RotateOptions, Status
from rotator.rotation.report import Report
from rotator.stores.port import Provenance, SecretStore
from tests.support.clock import NOON
from tests.support.sandbox import Fault
from tests.support.stores import Failing, MeddledStore
from tests.support.world import EXCHANGE, World

DAY = timedelta(days=1)
DUE = RotateOptions()
FORCED = RotateOptions(force=True)


class StoreWithHistory(MeddledStore):
    """A real store that keeps what was written, and tells who else writes it."""

    def __init__(self, store: SecretStore, *earlier: str, owner: str | None = None) -> None:
        super().__init__(store)
        self.earlier = earlier
        self.owner = owner

    def earlier_secrets(self) -> Iterator[str]:
        yield "no token at all"
        yield from self.earlier

    def provenance(self) -> Provenance:
        return Provenance(self.owner, changed_at=NOON)


def put_back(world: World, secret: str, file: str = ".env") -> None:
    """Replace the token and leave the line above it, as lineinfile does."""
    path = world.folder / file
    path.write_text(path.read_text().replace(world.secret(file), secret))


def is_told(report: Report, old: str) -> bool:
    text = "; ".join((report.message, report.error or "", *report.remarks))
    return "was put back" in text and old not in text


def test_it_is_replaced_once_and_then_told_without_another_mint(world: World, old: str) -> None:
    assert world.rotation().rotate(DUE).action is Action.ROTATED
    for number in range(4):
        put_back(world, old)
        world.clock.advance(DAY / 4)
        report = world.rotation().rotate(DUE)
        assert is_told(report, old)
        assert report.reason == "put_back"
        assert (report.action, bool(report.error)) == (
            (Action.FAILED, True) if number else (Action.ROTATED, False)
        )
        assert world.mints() == 2
    assert "then run rotate --force" in str(report.error)


def test_a_check_and_a_dry_run_tell_it_before(world: World, old: str) -> None:
    world.rotation().rotate(DUE)
    put_back(world, old)
    report = world.rotation().check(probe=False)
    assert (report.status, report.reason) == (Status.DUE, "put_back")
    assert is_told(report, old)
    assert world.rotation().rotate(RotateOptions(dry_run=True)).action is Action.WOULD_ROTATE
    done = world.rotation().rotate(DUE)
    assert "it is replaced once, and not a second time" in report.message
    assert "it is replaced once, and not a second time" in "; ".join(done.remarks)
    put_back(world, old)
    assert world.rotation().rotate(RotateOptions(dry_run=True)).action is Action.FAILED
    assert "again" in world.rotation().check(probe=False).message


def test_a_check_tells_that_the_token_that_was_put_back_is_dead(world: World, old: str) -> None:
    world.rotation(retire=timedelta()).rotate(DUE)
    put_back(world, old)
    report = world.rotation().check(probe=True)
    assert (report.status, report.reason) == (Status.REFUSED, "put_back")
    world.clock.advance(4 * DAY)
    assert world.rotation().check(probe=False).status is Status.EXPIRED


def test_force_makes_a_new_one_and_begins_anew(world: World, old: str) -> None:
    world.rotation().rotate(DUE)
    for _ in range(2):
        put_back(world, old)
        report = world.rotation().rotate(DUE)
    assert report.action is Action.FAILED
    assert world.rotation().rotate(FORCED).action is Action.ROTATED
    put_back(world, old)
    assert world.rotation().rotate(DUE).action is Action.ROTATED


def test_a_rotation_in_peace_forgets_it(world: World, old: str) -> None:
    world.rotation().rotate(DUE)
    put_back(world, old)
    world.rotation().rotate(DUE)
    world.clock.advance(85 * DAY)
    assert world.rotation().rotate(DUE).reason == "expiring"
    assert "back=" not in (world.folder / ".env").read_text()


def test_one_from_two_rotations_ago_is_known_as_well(world: World) -> None:
    oldest = world.api.issue(days=60)
    world.put(oldest)
    for _ in range(2):
        world.rotation().rotate(FORCED)
    put_back(world, oldest)
    assert world.rotation().check(probe=False).reason == "put_back"


def test_a_token_put_in_by_hand_that_is_new_here_is_taken(world: World, old: str) -> None:
    del old
    world.rotation().rotate(DUE)
    put_back(world, fresh := world.api.issue(days=60))
    report = world.rotation().rotate(DUE)
    assert (report.action, report.reason, world.secret()) == (Action.KEPT, "ok", fresh)


def test_a_token_whose_rotator_puts_it_back_is_not_revoked(world: World, old: str) -> None:
    world.rotation(retire=DAY).rotate(DUE)
    put_back(world, old)
    for _ in range(3):
        world.clock.advance(DAY / 2)
        world.rotation(retire=DAY).rotate(DUE)
    assert world.api.accepts(old)
    put_back(world, old)
    assert world.rotation(retire=DAY).rotate(DUE).action is Action.FAILED
    assert world.api.accepts(old)


def test_after_a_leak_it_is_revoked_all_the_same(world: World, old: str) -> None:
    world.rotation(retire=DAY).rotate(DUE)
    put_back(world, old)
    world.rotation(retire=DAY).rotate(RotateOptions(force=True, revoke_old=True))
    assert [row.secret for row in world.api.live_tokens()] == [world.secret()]


def test_the_newer_token_comes_from_another_store(world: World, old: str) -> None:
    world.put(old, "b.env")
    stores = (world.store(), world.store("b.env"))
    world.rotation(*stores).rotate(DUE)
    newer = world.secret()
    for number in range(3):
        put_back(world, old, "b.env")
        report = world.rotation(*stores).rotate(DUE)
        assert is_told(report, old)
        assert (report.action, bool(report.error)) == (Action.CONVERGED, number > 0)
        assert (world.secret("b.env"), world.mints()) == (newer, 1)


def test_the_newer_token_comes_from_the_history_of_the_store(world: World, old: str) -> None:
    world.rotation().rotate(DUE)
    newer = world.secret()
    store = StoreWithHistory(world.store(), "junk", newer, owner="the ExternalSecret luna")
    for number in range(3):
        put_back(world, old)
        report = world.rotation(store).rotate(DUE)
        assert is_told(report, old)
        told = "; ".join((report.error or "", *report.remarks))
        assert "the ExternalSecret luna writes it" in told
        assert "last changed 2026-11-23 12:00 UTC" in told
        assert (report.action, bool(report.error)) == (Action.CONVERGED, number > 0)
        assert (world.secret(), world.mints()) == (newer, 1)
        assert world.rotation(store).rotate(DUE).action is Action.KEPT


@pytest.mark.parametrize("why", ["revoked", "expired", "denied"])
def test_a_newer_token_that_is_of_no_use_is_replaced_by_one_more(
    world: World, old: str, why: str
) -> None:
    class Closed(StoreWithHistory):
        def earlier_secrets(self) -> Iterator[str]:
            raise StoreError(self.url)
            yield ""

    world.rotation().rotate(RotateOptions(force=True, validity=2 * DAY))
    store = (Closed if why == "denied" else StoreWithHistory)(world.store(), world.secret())
    if why == "revoked":
        world.api.revoke(str(world.token().token_id))
    if why == "expired":
        world.clock.advance(2 * DAY)
    put_back(world, old)
    report = world.rotation(store).rotate(DUE)
    assert (report.action, report.reason, world.mints()) == (Action.ROTATED, "put_back", 2)


def test_nothing_is_minted_while_the_api_does_not_say_whether_it_accepts_the_newer(
    world: World, old: str
) -> None:
    world.rotation().rotate(DUE)
    store = StoreWithHistory(world.store(), world.secret())
    put_back(world, old)
    world.api.misbehave(Fault.status(503), f"POST {EXCHANGE}", times=None)
    report = world.rotation(store).rotate(DUE)
    assert (report.action, world.mints(), world.secret()) == (Action.FAILED, 1, old)


def test_hooks_run_for_a_token_that_takes_its_place_again(world: World, old: str) -> None:
    world.rotation().rotate(DUE)
    store = StoreWithHistory(world.store(), world.secret())
    put_back(world, old)
    hook = ("sh", "-c", f"echo $ROTATOR_TOKEN_ID >> {world.folder}/ran")
    newer = world.rotation(store, hooks=(hook,)).rotate(DUE).token_id
    assert (world.folder / "ran").read_text() == f"{newer}\n"


def test_a_store_that_missed_two_rotations_was_not_put_back(world: World) -> None:
    down = StoreUnreachableError("b.env does not answer")
    world.put(world.api.issue(days=3), "b.env")
    world.put(world.secret("b.env"))
    away = MeddledStore(world.store("b.env"), before_read=Failing(down))
    for _ in range(2):
        world.rotation(world.store(), away).rotate(FORCED)
    report = world.rotation(world.store(), world.store("b.env")).rotate(DUE)
    assert (report.action, report.reason, report.error) == (Action.CONVERGED, "behind", None)


@pytest.mark.parametrize("trouble", [Fault.server_error, Fault.reset_after])
def test_a_mint_that_failed_does_not_count_as_the_one(
    world: World, old: str, trouble: Callable[[], Fault]
) -> None:
    world.rotation().rotate(DUE)
    put_back(world, old)
    world.api.misbehave(trouble(), "POST /auth/admin/service-tokens")
    assert world.rotation().rotate(DUE).action is Action.FAILED
    world.clock.advance(timedelta(minutes=10))
    assert world.rotation().rotate(DUE).action is Action.ROTATED
    assert len(world.api.live_tokens()) == 3

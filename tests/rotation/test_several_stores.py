from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest
from dotenv import dotenv_values

from rotator.errors import StoreUnreachableError
from rotator.rotation.model import CHANGED, Action, StoreState
from rotator.rotation.policy import RotateOptions, Status
from rotator.stores.journal import Journal
from rotator.stores.registry import Backends
from rotator.tokens import ServiceToken
from tests.support.sandbox import Fault
from tests.support.stores import Failing, MeddledStore
from tests.support.world import EXCHANGE, World

DOWN = StoreUnreachableError("the store is down")


def test_every_store_gets_the_same_new_token(world: World) -> None:
    world.put(world.api.issue(days=3), "a.env")
    report = world.rotation(world.store("a.env"), world.store("b.env")).rotate(RotateOptions())
    assert report.action is Action.ROTATED
    assert world.secret("a.env") == world.secret("b.env")
    assert [store.status for store in report.stores] == [StoreState.WRITTEN, StoreState.WRITTEN]
    assert world.mints() == 1


def test_a_store_behind_gets_the_current_token_without_a_mint(world: World) -> None:
    current = world.api.issue(days=60)
    world.put(current, "a.env")
    world.put(world.api.issue(days=20), "b.env")
    report = world.rotation(world.store("a.env"), world.store("b.env")).rotate(RotateOptions())
    assert (report.action, report.status, report.error) == (Action.CONVERGED, Status.OK, None)
    assert report.reason == "behind"
    assert world.secret("a.env") == world.secret("b.env") == current
    assert world.mints() == 0


def test_after_a_leak_the_token_that_a_copy_replaces_is_revoked(world: World) -> None:
    current, leaked = world.api.issue(days=60), world.api.issue(days=20)
    world.put(current, "a.env")
    world.put(leaked, "b.env")
    stores = (world.store("a.env"), world.store("b.env"))
    report = world.rotation(*stores).rotate(RotateOptions(revoke_old=True))
    assert (report.action, report.error) == (Action.CONVERGED, None)
    assert [row.secret for row in world.api.live_tokens()] == [current]


def test_a_copy_sets_off_the_hooks_although_the_journal_changes_meanwhile(
    world: World, tmp_path: Path
) -> None:
    world.put(world.api.issue(days=60), "a.env")
    world.put(world.api.issue(days=20), "b.env")
    notes = count(1)

    def change_the_journal() -> None:
        if next(notes) == 1:
            world.put(world.secret("a.env"), "a.env", before="# rotator: v=1 previous=one\n")

    first = MeddledStore(world.store("a.env"), before_note=change_the_journal)
    hooks = (("touch", str(tmp_path / "told")),)
    report = world.rotation(first, world.store("b.env"), hooks=hooks).rotate(RotateOptions())
    assert (report.action, report.error) == (Action.CONVERGED, None)
    assert (tmp_path / "told").exists()


@pytest.mark.parametrize("probe", [True, False])
@pytest.mark.parametrize("fault", [Fault.status(503), Fault.refusal(401)], ids=["503", "401"])
def test_a_token_that_is_not_proven_does_not_replace_one_that_works(
    world: World, fault: Fault, *, probe: bool
) -> None:
    working = world.api.issue(days=20)
    world.put(world.api.issue(days=60), "a.env")
    world.put(working, "b.env")
    world.api.revoke(str(world.token("a.env").token_id))
    world.api.misbehave(fault, f"POST {EXCHANGE}", times=None)
    world.api.misbehave(Fault.refusal(403), "POST /auth/login", times=None)
    stores = (world.store("a.env"), world.store("b.env"))
    report = world.rotation(*stores, probe=probe).rotate(RotateOptions())
    assert report.action is Action.FAILED
    assert world.secret("b.env") == working


@pytest.mark.parametrize("probe", [True, False])
def test_a_revoked_token_that_would_last_longest_does_not_block_a_renewal(
    world: World, *, probe: bool
) -> None:
    world.put(world.api.issue(days=60), "a.env")
    world.put(world.api.issue(days=3), "b.env")
    world.api.revoke(str(world.token("a.env").token_id))
    stores = (world.store("a.env"), world.store("b.env"))
    report = world.rotation(*stores, probe=probe).rotate(RotateOptions())
    assert (report.action, report.reason, report.error) == (Action.ROTATED, "refused", None)
    assert world.secret("a.env") == world.secret("b.env")
    assert world.api.accepts(world.secret("a.env"))


def test_two_variables_of_one_file_hold_one_token(world: World) -> None:
    backends = Backends()
    stores = [backends.open(f"dotenv:.env#{name}", world.folder) for name in "AB"]
    report = world.rotation(*stores).rotate(RotateOptions())
    assert (report.action, report.error) == (Action.ROTATED, None)
    values = dotenv_values(world.folder / ".env")
    assert values["A"] == values["B"]
    assert world.mints() == 1


def test_a_store_that_was_away_for_two_rotations_does_not_bring_an_old_token_back(
    world: World,
) -> None:
    first, second = world.store("a.env"), world.store("b.env")
    world.rotation(first, second, validity=timedelta(days=365)).rotate(RotateOptions())
    away = MeddledStore(second, before_read=Failing(DOWN))
    for _ in range(2):
        world.clock.advance(timedelta(days=1))
        world.rotation(first, away).rotate(RotateOptions(force=True))
    newest = world.secret("a.env")
    world.rotation(first, second).rotate(RotateOptions())
    assert world.secret("a.env") == world.secret("b.env") == newest


def test_every_store_knows_which_token_a_copy_has_replaced(world: World) -> None:
    world.put(world.api.issue(days=60), "a.env")
    world.put(world.api.issue(days=20), "b.env")
    replaced = world.token("b.env").token_id
    stores = [world.store("a.env"), world.store("b.env")]
    report = world.rotation(*stores, retire=timedelta(days=1)).rotate(RotateOptions())
    assert report.action is Action.CONVERGED
    for store in stores:
        assert [pending.token_id for pending in store.read().journal.pending] == [replaced]


def test_the_first_store_learns_from_a_newer_token_in_another(world: World) -> None:
    newer = world.api.issue(days=80)
    world.put(world.api.issue(days=5), "a.env")
    world.put(newer, "b.env")
    world.rotation(world.store("a.env"), world.store("b.env")).rotate(RotateOptions())
    assert world.secret("a.env") == newer
    assert world.mints() == 0


def test_a_replaced_eternal_token_left_in_one_store_does_not_come_back(world: World) -> None:
    world.put(world.api.issue(eternal=True), "a.env")
    world.put(world.secret("a.env"), "b.env")
    first, second = world.store("a.env"), world.store("b.env")
    cut_off = MeddledStore(second, before_write=Failing(DOWN))
    report = world.rotation(first, cut_off).rotate(RotateOptions(force=True))
    assert (report.action, report.error) == (Action.ROTATED, "the store is down")
    new = world.secret("a.env")
    assert world.rotation(first, second).rotate(RotateOptions()).action is Action.CONVERGED
    assert world.secret("a.env") == world.secret("b.env") == new


def test_one_unreachable_store_is_reported_and_the_others_go_on(world: World) -> None:
    world.put(world.api.issue(days=3), "b.env")
    down = MeddledStore(world.store("a.env"), before_read=Failing(DOWN))
    report = world.rotation(down, world.store("b.env")).rotate(RotateOptions())
    assert (report.action, report.error) == (Action.ROTATED, "the store is down")
    assert [s.status for s in report.stores] == [StoreState.UNREACHABLE, StoreState.WRITTEN]
    again = world.rotation(world.store("a.env"), world.store("b.env")).rotate(RotateOptions())
    assert again.action is Action.CONVERGED
    assert world.secret("a.env") == world.secret("b.env")
    assert world.mints() == 1


@pytest.mark.parametrize("days", [3, 60], ids=["a mint", "a copy"])
def test_a_store_that_was_away_at_first_is_neither_read_nor_written_as_nobody_holds_it(
    world: World, days: int
) -> None:
    for file, life in {"a.env": days, "b.env": 2, "c.env": 1}.items():
        world.put(world.api.issue(days=life), file)
    before = (world.folder / "b.env").read_bytes()
    looks = count(1)

    def be_away_at_first() -> None:
        if next(looks) == 1:
            raise DOWN

    back_soon = MeddledStore(world.store("b.env"), before_read=be_away_at_first)
    stores = (world.store("a.env"), back_soon, world.store("c.env"))
    report = world.rotation(*stores).rotate(RotateOptions())
    assert (report.action in CHANGED, report.error) == (True, "the store is down")
    assert report.stores[1].status is StoreState.UNREACHABLE
    assert ((world.folder / "b.env").read_bytes(), next(looks)) == (before, 2)
    again = world.rotation(*stores).rotate(RotateOptions())
    assert (again.action, again.error) == (Action.CONVERGED, None)
    assert {world.secret("b.env"), world.secret("c.env")} == {world.secret("a.env")}


def test_nothing_is_minted_when_no_store_answers(world: World) -> None:
    down = MeddledStore(world.store(), before_read=Failing(DOWN))
    for order in (RotateOptions(), RotateOptions(force=True), RotateOptions(dry_run=True)):
        report = world.rotation(down).rotate(order)
        assert (report.action, report.status) == (Action.FAILED, Status.UNKNOWN)
        assert report.error == "the store is down"
    assert world.api.calls == []


def test_check_counts_the_stores_behind(world: World) -> None:
    world.put(world.api.issue(days=60), "a.env")
    report = world.rotation(world.store("a.env"), world.store("b.env")).check(probe=False)
    assert (report.status, report.reason) == (Status.DUE, "behind")
    assert [s.status for s in report.stores] == [StoreState.CURRENT, StoreState.ABSENT]


def test_a_dry_run_says_that_a_copy_would_be_enough(world: World) -> None:
    world.put(world.api.issue(days=60), "a.env")
    stores = (world.store("a.env"), world.store("b.env"))
    assert (
        world.rotation(*stores).rotate(RotateOptions(dry_run=True)).action is Action.WOULD_CONVERGE
    )
    assert not (world.folder / "b.env").exists()


def test_a_store_that_cannot_take_the_copy_stays_behind(world: World) -> None:
    world.put(world.api.issue(days=60), "a.env")
    broken = MeddledStore(world.store("b.env"), before_write=Failing(DOWN))
    report = world.rotation(world.store("a.env"), broken).rotate(RotateOptions())
    assert report.error == "the store is down"
    assert [s.status for s in report.stores] == [StoreState.CURRENT, StoreState.BEHIND]


def test_a_broken_value_in_one_store_is_mended_from_the_other(world: World) -> None:
    world.put(world.api.issue(days=60), "a.env")
    world.put("changeme", "b.env")
    report = world.rotation(world.store("a.env"), world.store("b.env")).rotate(RotateOptions())
    assert report.action is Action.CONVERGED
    assert ServiceToken.parse(world.secret("b.env")) == world.token("a.env")


def test_a_bug_in_one_store_is_a_store_that_does_not_answer(world: World) -> None:
    def break_down() -> None:
        raise KeyError(secret)

    secret = world.api.issue(days=3)
    world.put(secret, "a.env")
    broken = MeddledStore(world.store("b.env"), before_read=break_down)
    report = world.rotation(world.store("a.env"), broken).rotate(RotateOptions())
    statuses = [store.status for store in report.stores]
    assert (report.action, statuses) == (
        Action.ROTATED,
        [StoreState.WRITTEN, StoreState.UNREACHABLE],
    )
    assert "internal error: KeyError" in str(report.error)
    assert secret not in str(report)


def test_while_a_store_is_away_that_may_hold_the_token_none_is_made_for_an_empty_one(
    world: World,
) -> None:
    away = MeddledStore(world.store("a.env"), before_read=Failing(DOWN))
    report = world.rotation(away, world.store("b.env")).rotate(RotateOptions())
    assert (report.action, report.status, world.mints()) == (Action.FAILED, Status.UNKNOWN, 0)
    assert "there is no token in the stores that could be read" in report.message
    forced = world.rotation(away, world.store("b.env")).rotate(RotateOptions(force=True))
    assert (forced.action, world.mints()) == (Action.ROTATED, 1)


def test_a_store_to_which_another_rotator_copied_the_same_token_is_written(world: World) -> None:
    world.put(world.api.issue(days=60), "a.env")

    def copy() -> None:
        entry = world.store("b.env").read()
        world.store("b.env").write(world.secret("a.env"), Journal(), expected=entry.version)

    overtaken = MeddledStore(world.store("b.env"), before_write=copy)
    report = world.rotation(world.store("a.env"), overtaken).rotate(RotateOptions())
    assert (report.action, report.error) == (Action.CONVERGED, None)
    assert [store.status for store in report.stores] == [StoreState.CURRENT, StoreState.WRITTEN]

"""After a leak: what leaked is revoked, or somebody is told that it is not."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.rotation.model import Action, OldTokenState
from rotator.rotation.policy import RotateOptions
from rotator.stores.journal import Leak, ReplacedToken
from rotator.tokens import ServiceToken
from tests.support.clock import NOON
from tests.support.world import World

LEAK = RotateOptions(force=True, revoke_old=True)


def read(world: World, file: str = ".env") -> str:
    return (world.folder / file).read_text()


@pytest.mark.parametrize("left", ["", "garbage", "REVOKED"])
def test_what_leaked_is_found_in_the_journal_where_a_hand_has_emptied_the_store(
    world: World, old: str, left: str
) -> None:
    assert world.api.accepts(old)
    world.rotation().rotate(RotateOptions())
    leaked = world.secret()
    path = world.folder / ".env"
    path.write_text(path.read_text().replace(leaked, left))
    report = world.rotation().rotate(LEAK)
    assert report.error is None
    assert [each.state for each in report.old_tokens] == [OldTokenState.REVOKED] * 2
    assert leaked not in [row.secret for row in world.api.live_tokens()]
    assert [row.secret for row in world.api.live_tokens()] == [world.secret()]
    assert world.api.accepts(world.secret())


@pytest.mark.parametrize("order", [LEAK, RotateOptions(revoke_old=True)], ids=["forced", "only"])
@pytest.mark.parametrize("validity", [timedelta(days=90), None], ids=["90 days", "eternal"])
def test_all_that_were_replaced_and_live_on_are_revoked(
    world: World, old: str, order: RotateOptions, validity: timedelta | None
) -> None:
    world.put(old, "b.env")
    stores = (world.store(), world.store("b.env"))
    for _ in range(3):
        forced = RotateOptions(force=True, validity=validity, eternal=validity is None)
        world.rotation(*stores).rotate(forced)
    report = world.rotation(*stores).rotate(order)
    assert report.error is None
    assert len(report.old_tokens) == (4 if order.force else 3)
    assert [row.secret for row in world.api.live_tokens()] == [world.secret()]
    assert "old=" not in (world.folder / ".env").read_text()


def test_the_journal_forgets_a_replaced_token_that_has_expired(world: World, old: str) -> None:
    assert world.api.accepts(old)
    world.rotation().rotate(RotateOptions())
    first = str(world.token().token_id)
    world.clock.advance(timedelta(days=84))
    world.rotation().rotate(RotateOptions())
    text = (world.folder / ".env").read_text()
    assert [word for word in text.split() if word.startswith("old=")] == [
        f"old={first}@2027-02-21T12:00:00Z"
    ]


def test_a_journal_without_its_token_revokes_nothing_unless_somebody_asks(
    world: World, old: str
) -> None:
    assert world.api.accepts(old)
    world.rotation().rotate(RotateOptions())
    lunas = world.secret()
    copied = (world.folder / ".env").read_text().replace(lunas, "")
    (world.folder / "sol.env").write_text(copied)  # a file that begins as a copy of another bot's
    report = world.rotation(world.store("sol.env"), retire=timedelta()).rotate(RotateOptions())
    assert (report.action, report.error, report.old_tokens) == (Action.ROTATED, None, ())
    assert world.api.accepts(lunas)


def test_who_finds_nothing_to_revoke_says_so(world: World) -> None:
    world.put("")
    report = world.rotation().rotate(LEAK)
    assert "no token that could be revoked" in str(report.error)
    assert "rotator tokens list" in str(report.error)
    assert world.api.accepts(world.secret())


def test_a_leak_is_noted_beside_the_token_that_was_minted_for_it(world: World, old: str) -> None:
    old_id = str(ServiceToken.parse(old).token_id)
    leak = Leak(NOON, (ReplacedToken(old_id, NOON + timedelta(days=3)),))
    world.put(old, "b.env")
    stores = (world.store(), world.store("b.env"))
    report = world.rotation(*stores).rotate(replace(LEAK, leak=leak))
    assert report.error is None
    for file in (".env", "b.env"):
        assert f"leak=2026-11-23T12:00:00Z leaked={old_id}@2026-11-26T" in read(world, file)
    world.clock.advance(timedelta(days=84))
    world.rotation(*stores).rotate(RotateOptions())
    assert "leak=" not in read(world)


def test_a_leak_of_which_no_token_is_known_is_noted_too(world: World) -> None:
    world.put("")
    assert world.rotation().rotate(replace(LEAK, leak=Leak(NOON))).error is None
    assert "leak=2026-11-23T12:00:00Z\n" in read(world)


def test_a_copy_to_a_store_that_was_emptied_owes_nothing(world: World, old: str) -> None:
    world.put(old, "b.env")
    rotation = world.rotation(world.store(), world.store("b.env"), retire=timedelta())
    rotation.rotate(RotateOptions())
    current = world.secret()
    path = world.folder / "b.env"
    path.write_text(path.read_text().replace(current, ""))
    report = rotation.rotate(RotateOptions())
    assert (report.action, report.error, report.old_tokens) == (Action.CONVERGED, None, ())
    assert world.secret("b.env") == current
    assert world.api.accepts(current)

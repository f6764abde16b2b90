"""After a leak: what leaked is revoked, or somebody is told that it is not."""

from datetime import timedelta

import pytest

from rotator.rotation.model import Action, OldTokenState
from rotator.rotation.policy import RotateOptions
from tests.support.world import World

LEAK = RotateOptions(force=True, revoke_old=True)


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
    assert [each.state for each in report.old_tokens] == [OldTokenState.REVOKED]
    assert leaked not in [row.secret for row in world.api.live_tokens()]
    assert world.api.accepts(world.secret())


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

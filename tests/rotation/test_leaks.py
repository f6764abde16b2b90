"""After a leak: what leaked is revoked, or somebody is told that it is not."""

from datetime import timedelta

import pytest

from rotator.afterwards.retirement import OldState
from rotator.order import Order
from rotator.report import Action
from tests.support.world import World

LEAK = Order(force=True, revoke_old=True)


@pytest.mark.parametrize("left", ["", "garbage", "REVOKED"])
def test_what_leaked_is_found_in_the_journal_where_a_hand_has_emptied_the_store(
    world: World, old: str, left: str
) -> None:
    assert world.api.accepts(old)
    world.rotation().rotate(Order())
    leaked = world.secret()
    path = world.folder / ".env"
    path.write_text(path.read_text().replace(leaked, left))
    report = world.rotation().rotate(LEAK)
    assert report.error is None
    assert [each.state for each in report.old_tokens] == [OldState.REVOKED]
    assert leaked not in [row.secret for row in world.api.live_tokens()]
    assert world.api.accepts(world.secret())


def test_a_grace_counts_for_a_token_that_was_emptied_too(world: World, old: str) -> None:
    assert world.api.accepts(old)
    world.rotation().rotate(Order())
    emptied = world.secret()
    path = world.folder / ".env"
    path.write_text(path.read_text().replace(emptied, ""))
    rotation = world.rotation(retire=timedelta(days=1))
    assert [each.state for each in rotation.rotate(Order()).old_tokens] == [OldState.WAITING]
    world.clock.advance(timedelta(days=2))
    rotation.rotate(Order())
    assert emptied not in [row.secret for row in world.api.live_tokens()]


def test_who_finds_nothing_to_revoke_says_so(world: World) -> None:
    world.put("")
    report = world.rotation().rotate(LEAK)
    assert "no token that could be revoked" in str(report.error)
    assert "rotator tokens list" in str(report.error)
    assert world.api.accepts(world.secret())


def test_a_copy_to_a_store_that_was_emptied_owes_nothing(world: World, old: str) -> None:
    world.put(old, "b.env")
    rotation = world.rotation(world.store(), world.store("b.env"), retire=timedelta())
    rotation.rotate(Order())
    current = world.secret()
    path = world.folder / "b.env"
    path.write_text(path.read_text().replace(current, ""))
    report = rotation.rotate(Order())
    assert (report.action, report.error, report.old_tokens) == (Action.CONVERGED, None, ())
    assert world.secret("b.env") == current
    assert world.api.accepts(current)

"""What a broken store may hold is not guessed: nothing is revoked that could stand in it."""

from datetime import timedelta
from pathlib import Path

import pytest

from rotator.rotation.model import Action
from rotator.rotation.policy import RotateOptions
from rotator.stores.readonly import UnavailableStore
from tests.support.clock import FakeClock
from tests.support.leftovers import Leftovers
from tests.support.sandbox import Sandbox
from tests.support.world import World


@pytest.fixture
def world(tmp_path: Path, timed_api: Sandbox, clock: FakeClock) -> World:
    return World(tmp_path, timed_api, clock)


def test_a_left_over_token_is_not_revoked_while_a_store_is_broken(world: World) -> None:
    world.put(world.api.issue(days=60))
    left = Leftovers(world)
    left.intent(world.store())
    token = left.token()
    world.clock.advance(timedelta(minutes=5))
    broken = UnavailableStore("rusty:a", "rusty:a: it is broken")
    report = world.rotation(fleet=[world.store(), broken]).rotate(RotateOptions())
    assert f"{token.id} may be left over from a mint that was cut off" in str(report.error)
    assert "which cannot be told while rusty:a does not answer" in str(report.error)
    assert token.id in {row.id for row in world.api.live_tokens()}
    report = world.rotation().rotate(RotateOptions())
    assert (report.action, report.error) == (Action.KEPT, None)
    assert token.id not in {row.id for row in world.api.live_tokens()}

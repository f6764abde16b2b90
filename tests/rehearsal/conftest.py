from pathlib import Path

import pytest

from tests.support.clock import FakeClock
from tests.support.sandbox import Sandbox
from tests.support.world import World


@pytest.fixture
def world(tmp_path: Path, timed_api: Sandbox, clock: FakeClock) -> World:
    return World(tmp_path, timed_api, clock)


@pytest.fixture
def old(world: World) -> str:
    """A token that is due, in the `.env` of the world."""
    secret = world.api.issue(days=3)
    world.put(secret)
    return secret

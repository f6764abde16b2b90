"""What looks at the same time have in common, a daemon does once for all."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rotator.config.settings import Secret
from tests.daemon.test_daemon import NO_ADMIN, Watch
from tests.support.clock import FakeClock
from tests.support.listener import listener
from tests.support.sandbox import Sandbox
from tests.support.world import World

NAMES = ("a", "b", "c")
SECONDS = timedelta(seconds=20)


class Fleet:
    """A daemon with tokens that are due, and tell one URL; `arrived` is what it was told."""

    def __init__(self, world: World, url: str, arrived: list[dict[str, Any]]) -> None:
        self.arrived = arrived
        self.watch = Watch(world)
        self.world = world
        self.old = {name: world.api.issue(days=3) for name in NAMES}
        for name, secret in self.old.items():
            world.put(secret, f"{name}.env")
        self.watch.fleet = [
            world.rotation(
                world.store(f"{name}.env"),
                name=name,
                notify=(Secret("test", value=url),),
                retire=timedelta(),
                probe=False,
            )
            for name in NAMES
        ]

    def told(self) -> list[tuple[str, list[str]]]:
        """Return of each notice the event, and the tokens."""
        return [(each["event"], [t["name"] for t in each["tokens"]]) for each in self.arrived]

    def alive(self) -> list[str]:
        """Return the tokens whose old one is not revoked yet."""
        return [name for name, secret in self.old.items() if self.world.api.accepts(secret)]

    def owing(self) -> list[str]:
        return [n for n in NAMES if "hook=" in (self.world.folder / f"{n}.env").read_text()]


@pytest.fixture
def fleet(tmp_path: Path, timed_api: Sandbox, clock: FakeClock) -> Iterator[Fleet]:
    with listener() as (url, arrived):
        yield Fleet(World(tmp_path, timed_api, clock), url, arrived)


def test_one_notice_tells_of_all_that_were_renewed_and_one_of_all_that_failed(
    fleet: Fleet,
) -> None:
    fault, call, _ = NO_ADMIN
    fleet.world.api.misbehave(fault, call, 2)
    fleet.watch.start()
    assert (fleet.told(), fleet.alive(), fleet.owing()) == ([], ["a", "b", "c"], ["c"])
    fleet.watch.scheduler.step(timedelta(seconds=6))
    assert sorted(fleet.told()) == [("failed", ["a", "b"]), ("rotated", ["c"])]
    assert (fleet.alive(), fleet.owing()) == (["a", "b"], [])
    assert fleet.watch.states.by_name()["c"] is not None


def test_a_stop_does_at_once_what_looks_have_left(fleet: Fleet) -> None:
    fleet.watch.start()
    assert fleet.owing() == ["a", "b", "c"]
    fleet.watch.daemon.stop()
    assert fleet.told() == [("rotated", ["a", "b", "c"])]
    assert (fleet.alive(), fleet.owing()) == ([], [])


@pytest.mark.long
def test_settings_that_are_read_again_lose_nothing(fleet: Fleet) -> None:
    fleet.watch.start()
    fleet.watch.daemon.reload()
    fleet.watch.scheduler.step(SECONDS)
    assert fleet.told() == [("rotated", ["a", "b", "c"])]
    assert (fleet.alive(), fleet.owing()) == ([], [])

"""A daemon that renews only so many tokens an hour: the most urgent first."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from rotator.config.settings import AtMost
from rotator.daemon.turns import Turns
from rotator.errors import StoreUnreachableError
from rotator.rotation.model import Action
from rotator.rotation.policy import Status
from rotator.rotation.report import Report
from rotator.rotation.rotation import Rotation
from tests.daemon.test_daemon import DAY, HOUR, Watch
from tests.support.clock import NOON, FakeClock
from tests.support.sandbox import Sandbox
from tests.support.stores import Failing, MeddledStore
from tests.support.world import World

DUE = {"a": 5.0, "b": 2.0, "c": 4.0, "d": 3.0}
MINUTE = timedelta(minutes=1)


class Group:
    """A daemon with tokens of these lives, in days."""

    def __init__(self, world: World, lives: Mapping[str, float], number: int) -> None:
        self.world = world
        self.watch = Watch(world)
        self.old = {name: world.api.issue(days) for name, days in lives.items()}
        for name, secret in self.old.items():
            world.put(secret, f"{name}.env")
        self.watch.fleet = [self.rotation(name, number) for name in lives]

    def rotation(self, name: str, number: int) -> Rotation:
        store = self.world.store(f"{name}.env")
        return self.world.rotation(store, name=name, at_most=AtMost(number), probe=False)

    def renewed(self) -> list[str]:
        """Return the tokens that have been renewed until now."""
        return [name for name, old in self.old.items() if self.world.secret(f"{name}.env") != old]


@pytest.fixture
def world(tmp_path: Path, timed_api: Sandbox, clock: FakeClock) -> World:
    return World(tmp_path, timed_api, clock)


def test_each_hour_renews_the_most_urgent_of_those_that_are_due(world: World) -> None:
    group = Group(world, DUE | {"fine": 60.0}, 1)
    group.watch.start()
    group.watch.scheduler.step(MINUTE)
    for expected in (["b"], ["b", "d"], ["b", "c", "d"]):
        assert group.renewed() == expected
        group.watch.scheduler.step(HOUR + MINUTE)


def test_an_hour_has_no_more_renewals_than_it_may(world: World) -> None:
    group = Group(world, DUE, 3)
    group.watch.start()
    group.watch.scheduler.step(HOUR - MINUTE)
    assert group.renewed() == ["b", "c", "d"]
    group.watch.scheduler.step(2 * MINUTE)
    assert group.renewed() == ["a", "b", "c", "d"]


def test_one_with_less_than_a_day_left_does_not_wait_for_looks_at_others(world: World) -> None:
    group = Group(world, {"a": 5.0, "b": 0.9, "over": -1.0, "c": 4.0}, 2)
    group.watch.start()
    assert group.renewed() == ["b", "over"]
    group.watch.scheduler.step(2 * HOUR)
    assert len(group.renewed()) == 4


def test_one_that_fails_again_and_again_holds_no_other_back(world: World) -> None:
    group = Group(world, {"a": 5.0, "b": 2.0}, 1)
    broken = MeddledStore(
        world.store("b.env"), before_preflight=Failing(StoreUnreachableError("it is away"))
    )
    group.watch.fleet = [
        group.rotation("a", 1),
        world.rotation(broken, name="b", at_most=AtMost(1)),
    ]
    group.watch.start()
    group.watch.scheduler.step(MINUTE)
    assert group.renewed() == ["a"]


def test_one_that_is_being_renewed_is_not_waited_for_twice() -> None:
    turns, group = Turns(), (None, None)
    first, second, third = (
        Report(name, Status.DUE, "expiring", "", Action.SKIPPED, expires_at=NOON + days * DAY)
        for name, days in (("b", 2), ("d", 3), ("a", 5))
    )
    others = [first, second, third]
    assert turns.take(group, 2, third, others, NOON) == HOUR
    assert turns.take(group, 2, first, others, NOON) == timedelta()
    assert turns.take(group, 2, second, others, NOON + MINUTE) == timedelta()
    assert turns.take(group, 2, third, others, NOON + MINUTE) == HOUR - MINUTE
    turns.note(group, second._replace(action=Action.FAILED), NOON + 2 * MINUTE)
    assert turns.take(group, 2, third, [first], NOON + 2 * MINUTE) == timedelta()

"""What a store says of the value's own end bounds the life of the token."""

from datetime import timedelta

import pytest

from rotator.rotation.model import Action
from rotator.rotation.policy import RotateOptions, Status
from rotator.rotation.report import summarize
from tests.support.stores import EphemeralStore
from tests.support.world import World

MONTH = timedelta(days=30)


@pytest.fixture
def ephemeral(world: World) -> EphemeralStore:
    store = EphemeralStore(world.store())
    store.ends_at = world.clock() + MONTH
    return store


def test_check_tells_the_earlier_end(world: World, ephemeral: EphemeralStore) -> None:
    world.put(world.api.issue(days=90))
    report = world.rotation(ephemeral).check(probe=False)
    assert (report.status, report.expires_at) == (Status.OK, ephemeral.ends_at)
    assert report.seconds_left == MONTH.total_seconds()
    assert "is gone in 30 days" in report.message
    assert "delete_version_after" in report.message


def test_a_run_renews_by_the_earlier_end(world: World, ephemeral: EphemeralStore) -> None:
    world.put(world.api.issue(days=90))
    world.clock.advance(MONTH - timedelta(days=6))
    report = world.rotation(ephemeral).rotate(RotateOptions())
    assert (report.action, report.reason) == (Action.ROTATED, "expiring")


def test_a_new_token_is_told_with_its_earlier_end(
    world: World, ephemeral: EphemeralStore, old: str
) -> None:
    del old
    report = world.rotation(ephemeral).rotate(RotateOptions())
    assert (report.action, report.expires_at) == (Action.ROTATED, ephemeral.ends_at)
    assert "valid for 30 days" in summarize(report)
    assert "is gone in 30 days" in report.message


def test_a_new_token_that_is_deleted_before_it_would_be_renewed_is_a_failure(
    world: World, ephemeral: EphemeralStore, old: str
) -> None:
    del old
    ephemeral.ends_at = world.clock() + timedelta(hours=1)
    report = world.rotation(ephemeral).rotate(RotateOptions())
    assert (report.action, report.expires_at) == (Action.ROTATED, ephemeral.ends_at)
    assert "so each run makes another one: let it keep what is written" in (report.error or "")


def test_a_store_that_deletes_it_now_is_an_alarm(world: World, ephemeral: EphemeralStore) -> None:
    world.put(world.api.issue(days=90))
    ephemeral.ends_at = world.clock() - timedelta(hours=2)
    report = world.rotation(ephemeral).check(probe=False)
    assert (report.status, report.reason) == (Status.EXPIRED, "deleted")
    assert report.expires_at == ephemeral.ends_at


def test_of_two_stores_the_earlier_counts_and_that_of_another_token_does_not(
    world: World, ephemeral: EphemeralStore
) -> None:
    current = world.api.issue(days=90)
    world.put(current)
    world.put(current, "b.env")
    other = EphemeralStore(world.store("b.env"))
    other.ends_at = world.clock() + MONTH / 2
    assert world.rotation(ephemeral, other).check(probe=False).expires_at == other.ends_at
    world.put(world.api.issue(days=3), "b.env")
    assert world.rotation(ephemeral, other).check(probe=False).expires_at == ephemeral.ends_at


def test_an_end_after_the_tokens_own_changes_nothing(
    world: World, ephemeral: EphemeralStore
) -> None:
    world.put(world.api.issue(days=20))
    report = world.rotation(ephemeral).check(probe=False)
    assert report.message.startswith("expires in 20 days")

"""Rotators that may be at work just now, in stores where no lock tells."""

from datetime import timedelta

import pytest

from rotator.errors import ConflictError
from rotator.rotation.model import Action
from rotator.rotation.policy import RotateOptions
from tests.support.leftovers import Leftovers
from tests.support.stores import Failing, SharedStore
from tests.support.world import World


def test_in_a_store_without_a_lock_a_fresh_intent_is_waited_for(world: World) -> None:
    world.put(world.api.issue(days=3))
    store = SharedStore(world.store())
    Leftovers(world).intent(store)
    begun = world.clock.now
    report = world.rotation(store).rotate(RotateOptions())
    assert (report.action, report.error) == (Action.ROTATED, None)
    assert world.clock.now - begun > timedelta(minutes=2)


def test_what_the_other_made_meanwhile_is_taken(world: World) -> None:
    world.put(world.api.issue(days=3))
    store = SharedStore(world.store())
    Leftovers(world).intent(store)
    theirs = world.api.issue(days=90)
    rotation = world.rotation(store, sleep=lambda _: world.put(theirs))
    report = rotation.rotate(RotateOptions(force=True))
    assert report.action is Action.SKIPPED
    assert world.mints() == 0
    assert world.secret() == theirs


def test_a_token_that_a_living_rotator_may_have_made_is_not_revoked_before_it_is_done(
    world: World,
) -> None:
    world.put(world.api.issue(days=60))
    left = Leftovers(world)
    world.put(world.api.issue(days=3), "b.env")
    other = SharedStore(world.store("b.env"))
    left.intent(world.store())
    left.intent(other)
    theirs = left.token()
    rotation = world.rotation(
        fleet=[world.store(), other], sleep=lambda _: world.put(theirs.secret, "b.env")
    )
    assert rotation.rotate(RotateOptions()).error is None
    assert theirs.id in {row.id for row in world.api.live_tokens()}


@pytest.mark.parametrize("force", [False, True])
def test_when_another_intent_came_first_and_went_again_it_is_tried_once_more(
    world: World, *, force: bool
) -> None:
    world.put(world.api.issue(days=60 if force else 3))
    crowd = Failing(ConflictError("somebody was faster"), 1, 2)
    store = SharedStore(world.store(), before_note=crowd)
    report = world.rotation(store).rotate(RotateOptions(force=force))
    assert (report.action, report.error) == (Action.ROTATED, None)
    assert world.mints() == 1


def test_who_never_gets_to_write_an_intent_says_so_and_mints_nothing(world: World) -> None:
    world.put(old := world.api.issue(days=3))
    crowd = Failing(ConflictError("somebody was faster"))
    store = SharedStore(world.store(), before_note=crowd)
    begun = world.clock.now
    report = world.rotation(store).rotate(RotateOptions())
    assert (report.action, report.error) == (Action.FAILED, "somebody was faster")
    assert (world.mints(), world.secret()) == (0, old)
    assert world.clock.now - begun < timedelta(minutes=1)

"""Rotators that may be at work just now, in stores where no lock tells."""

from datetime import timedelta

from rotator.order import Order
from rotator.report import Action
from tests.support.leftovers import Leftovers
from tests.support.stores import SharedStore
from tests.support.world import World


def test_in_a_store_without_a_lock_a_fresh_intent_is_waited_for(world: World) -> None:
    world.put(world.api.issue(days=3))
    store = SharedStore(world.store())
    Leftovers(world).intent(store)
    begun = world.clock.now
    report = world.rotation(store).rotate(Order())
    assert (report.action, report.error) == (Action.ROTATED, None)
    assert world.clock.now - begun > timedelta(minutes=2)


def test_what_the_other_made_meanwhile_is_taken(world: World) -> None:
    world.put(world.api.issue(days=3))
    store = SharedStore(world.store())
    Leftovers(world).intent(store)
    theirs = world.api.issue(days=90)
    rotation = world.rotation(store, sleep=lambda _: world.put(theirs))
    report = rotation.rotate(Order(force=True))
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
    assert rotation.rotate(Order()).error is None
    assert theirs.id in {row.id for row in world.api.live_tokens()}

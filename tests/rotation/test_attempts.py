"""One attempt to make a token, and what gets in its way between the intent and the promotion."""

from datetime import timedelta

import pytest

from rotator.errors import StoreDeniedError, StoreError, StoreUnreachableError
from rotator.rotation.model import Action
from rotator.rotation.policy import RotateOptions
from tests.support.sandbox import Fault
from tests.support.stores import Failing, MeddledStore
from tests.support.world import LOGIN, World

CALL_MINT = "POST /auth/admin/service-tokens"
CALL_EXCHANGE = "POST /auth/service-token/refresh"
CALL_REVOKE = "DELETE /auth/admin/service-tokens/{id}"
FULL = StoreError("the disk is full")
GONE = StoreUnreachableError("the store is gone")
DENIED = StoreDeniedError("may not write: grant it")


@pytest.fixture(autouse=True)
def old(world: World) -> str:
    secret = world.api.issue(days=3)
    world.put(secret)
    return secret


def test_an_intent_that_cannot_be_written_means_that_nothing_is_minted(world: World) -> None:
    store = MeddledStore(world.store(), before_note=Failing(DENIED))
    report = world.rotation(store).rotate(RotateOptions())
    assert (report.action, world.mints()) == (Action.FAILED, 0)
    assert str(report.error) == "may not write: grant it"


def test_who_finds_the_store_changed_when_it_wants_to_begin_takes_what_is_there(
    world: World,
) -> None:
    theirs = world.api.issue(days=90)
    store = MeddledStore(world.store(), before_note=lambda: world.put(theirs))
    report = world.rotation(store).rotate(RotateOptions())
    assert (report.action, world.mints()) == (Action.SKIPPED, 0)
    assert world.secret() == theirs


def test_a_mint_that_the_api_refuses_leaves_no_intent(world: World) -> None:
    world.api.misbehave(Fault.refusal(403), CALL_MINT)
    assert world.rotation().rotate(RotateOptions()).action is Action.FAILED
    assert "intent=" not in (world.folder / ".env").read_text()


def test_an_answer_that_cannot_be_noted_gives_the_token_back(world: World, old: str) -> None:
    store = MeddledStore(world.store(), before_note=Failing(FULL, 2))
    report = world.rotation(store).rotate(RotateOptions())
    assert "is not in use: it was revoked" in str(report.error)
    assert [row.secret for row in world.api.live_tokens()] == [old]


def test_a_rotation_that_takes_too_long_gives_up_what_others_may_take_for_left_over(
    world: World, old: str
) -> None:
    late = Fault.meanwhile(lambda: world.clock.advance(timedelta(seconds=91)), "before")
    world.api.misbehave(late, CALL_EXCHANGE)
    report = world.rotation().rotate(RotateOptions())
    assert "came too late: rotation_timeout (2 minutes) is nearly over" in str(report.error)
    assert str(report.error).count("it was revoked") == 1
    assert [row.secret for row in world.api.live_tokens()] == [old]
    assert world.rotation().rotate(RotateOptions()).action is Action.ROTATED


def test_where_a_token_can_be_neither_revoked_nor_noted_it_has_to_be_done_by_hand(
    world: World,
) -> None:
    world.api.misbehave(Fault.refusal(401), CALL_EXCHANGE)
    world.api.misbehave(Fault.status(403), CALL_REVOKE)
    store = MeddledStore(world.store(), before_note=Failing(FULL, 3))
    report = world.rotation(store).rotate(RotateOptions())
    left_over = world.api.tokens[-1].id
    assert str(report.error).count(f"revoke {left_over} at the API by hand") == 1


def test_a_store_that_is_gone_when_the_token_cannot_be_revoked_is_told_the_same_way(
    world: World,
) -> None:
    world.api.misbehave(Fault.refusal(401), CALL_EXCHANGE)
    world.api.misbehave(Fault.status(403), CALL_REVOKE)
    store = MeddledStore(world.store(), before_read=Failing(GONE, 3))
    report = world.rotation(store).rotate(RotateOptions())
    assert "at the API by hand" in str(report.error)
    assert world.rotation().rotate(RotateOptions()).error is None
    assert len(world.api.live_tokens()) == 2


def test_one_login_is_enough(world: World) -> None:
    world.rotation(retire=timedelta()).rotate(RotateOptions())
    assert world.api.calls.count(LOGIN) == 1

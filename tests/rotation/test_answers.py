"""Answers to a mint that must not harm the token in use."""

from datetime import timedelta

import pytest

from rotator.rotation.model import Action
from rotator.rotation.policy import RotateOptions
from tests.support.leftovers import Leftovers
from tests.support.sandbox import Fault
from tests.support.world import World

MINT = "POST /auth/admin/service-tokens"
LIST = "GET /auth/admin/service-tokens"


def test_an_old_answer_from_a_cache_does_not_revoke_the_token_in_use(world: World) -> None:
    current = world.api.issue(days=3)
    world.put(current)
    answer = {"service_token": current, "token_id": world.token().token_id}
    world.api.misbehave(Fault.json_of(answer), MINT)
    report = world.rotation().rotate(RotateOptions())
    assert report.action is Action.FAILED
    assert "which was there before" in str(report.error)
    assert world.api.accepts(current)


@pytest.mark.parametrize("reaches_the_api", [True, False])
def test_an_answer_to_another_client_is_not_taken_for_ours(
    world: World, *, reaches_the_api: bool
) -> None:
    world.put(old := world.api.issue(days=3))
    row = Leftovers(world).token()  # this very second, by the same admin
    answer = {"service_token": row.secret, "token_id": row.id, "scope": row.scope}
    world.api.misbehave(Fault.json_of(answer, work=reaches_the_api), MINT)
    report = world.rotation().rotate(RotateOptions())
    assert f"names the token {row.id}, which was there before" in str(report.error)
    assert (report.action, world.secret()) == (Action.FAILED, old)
    assert row.last_used_at is None
    assert [each.secret for each in world.api.live_tokens()] == [old, row.secret]


@pytest.mark.parametrize("fault", ["another client's answer", "none"])
def test_what_others_mint_between_two_mints_of_a_run_was_there_before(
    world: World, fault: str
) -> None:
    api = world.open_api()
    world.put(world.api.issue(days=3))
    world.put(old := world.api.issue(days=3), "b.env")
    assert world.rotation(api=api).rotate(RotateOptions()).action is Action.ROTATED
    row = Leftovers(world).token()
    answer = {"service_token": row.secret, "token_id": row.id, "scope": row.scope}
    wrong = Fault.status(503) if fault == "none" else Fault.json_of(answer, work=False)
    world.api.misbehave(wrong, MINT)
    report = world.rotation(world.store("b.env"), api=api).rotate(RotateOptions())
    assert (report.action, world.secret("b.env")) == (Action.FAILED, old)
    assert row in world.api.live_tokens()


def test_what_was_there_before_is_remembered_by_the_next_run(world: World) -> None:
    world.put(world.api.issue(days=3))
    row = Leftovers(world).token()  # this very second, by the same admin
    answer = {"service_token": row.secret, "token_id": row.id, "scope": row.scope}
    world.api.misbehave(Fault.json_of(answer, work=False), MINT)
    assert world.rotation().rotate(RotateOptions()).action is Action.FAILED
    world.clock.advance(timedelta(seconds=11))
    assert world.rotation().rotate(RotateOptions()).action is Action.ROTATED
    assert row in world.api.live_tokens()
    world.clock.advance(timedelta(minutes=6))
    assert world.rotation().rotate(RotateOptions()).error is None
    assert row in world.api.live_tokens()
    assert "intent=" not in (world.folder / ".env").read_text()


def test_an_answer_whose_token_may_be_another_ones_revokes_none_of_the_two(world: World) -> None:
    world.put(world.api.issue(days=60))
    left = Leftovers(world)
    named, other = left.token(), left.token()
    left.intent(world.store(), token_id=named.id)
    world.clock.advance(timedelta(minutes=1))
    error = str(world.rotation().rotate(RotateOptions()).error)
    assert f"one of {named.id}, {other.id} is left over" in error
    assert all(each in world.api.live_tokens() for each in (named, other))
    world.api.revoke(other.id)
    assert world.rotation().rotate(RotateOptions()).error is None
    assert named not in world.api.live_tokens()


def test_an_answer_is_believed_beside_the_token_of_another_mint_of_the_fleet(world: World) -> None:
    for name in (".env", "b.env"):
        world.put(world.api.issue(days=60), name)
    left = Leftovers(world)
    tokens = [left.token(), left.token()]
    left.intent(world.store(), token_id=tokens[0].id)
    left.intent(world.store("b.env"))
    world.clock.advance(timedelta(minutes=1))
    fleet = [world.store(), world.store("b.env")]
    assert world.rotation(fleet=fleet).rotate(RotateOptions()).error is None
    assert tokens[0] not in world.api.live_tokens()


def test_without_a_list_a_token_is_minted_all_the_same(world: World) -> None:
    world.put(world.api.issue(days=3))
    world.api.misbehave(Fault.status(503), LIST, times=None)
    assert world.rotation().rotate(RotateOptions()).error is None

"""Answers to a mint that must not harm the token in use."""

import pytest

from rotator.rotation.model import Action
from rotator.rotation.policy import RotateOptions
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
    theirs = world.api.issue(days=90)  # this very second, by the same admin
    row = world.api.tokens[-1]
    answer = {"service_token": theirs, "token_id": row.id, "scope": row.scope}
    world.api.misbehave(Fault.json_of(answer, work=reaches_the_api), MINT)
    report = world.rotation().rotate(RotateOptions())
    assert f"names the token {row.id}, which was there before" in str(report.error)
    assert (report.action, world.secret()) == (Action.FAILED, old)
    assert row.last_used_at is None
    assert [each.secret for each in world.api.live_tokens()] == [old, theirs]


def test_without_a_list_a_token_is_minted_all_the_same(world: World) -> None:
    world.put(world.api.issue(days=3))
    world.api.misbehave(Fault.status(503), LIST, times=None)
    assert world.rotation().rotate(RotateOptions()).error is None

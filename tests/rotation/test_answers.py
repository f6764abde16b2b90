"""Answers to a mint that must not harm the token in use."""

from rotator.rotation.model import Action
from rotator.rotation.policy import RotateOptions
from tests.support.sandbox import Fault
from tests.support.world import World


def test_an_old_answer_from_a_cache_does_not_revoke_the_token_in_use(world: World) -> None:
    current = world.api.issue(days=3)
    world.put(current)
    answer = {"service_token": current, "token_id": world.token().token_id}
    world.api.misbehave(Fault.json_of(answer), "POST /auth/admin/service-tokens")
    report = world.rotation().rotate(RotateOptions())
    assert report.action is Action.FAILED
    assert "which is in use" in str(report.error)
    assert world.api.accepts(current)

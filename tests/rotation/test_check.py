from datetime import timedelta

import pytest

from rotator.rotation.policy import Status
from rotator.tokens import ServiceToken
from tests.support.sandbox import Sandbox
from tests.support.world import EXCHANGE, World


def test_a_look_stays_off_the_network(world: World) -> None:
    world.put(world.api.issue(days=30))
    report = world.rotation().check(probe=False)
    assert (report.status, report.action, report.error) == (Status.OK, None, None)
    assert report.seconds_left == timedelta(days=30).total_seconds()
    assert world.api.calls == []


def test_a_probe_exchanges_the_token_once(world: World) -> None:
    world.put(world.api.issue(days=30))
    assert world.rotation().check(probe=True).status is Status.OK
    assert world.api.calls == [("POST", EXCHANGE, 200)]


@pytest.mark.parametrize("days", [3, 30])
def test_a_probe_finds_a_revoked_token(world: World, days: int) -> None:
    world.put(world.api.issue(days=days))
    world.api.revoke(str(world.token().token_id))
    assert world.rotation().check(probe=True).status is Status.REFUSED


def test_a_probe_without_an_answer_cannot_tell(world: World) -> None:
    world.put(world.api.issue(days=30))
    world.api.break_database()
    report = world.rotation().check(probe=True)
    assert report.status is Status.OK
    assert "not able to answer" in str(report.error)


def test_a_token_that_is_over_need_not_be_probed(world: World) -> None:
    world.put(world.api.issue(days=-1))
    assert world.rotation().check(probe=True).status is Status.EXPIRED
    assert world.api.calls == []


def test_an_eternal_jwt_that_the_server_calls_dead_is_found_by_a_probe(
    world: World, timed_api: Sandbox
) -> None:
    row = ServiceToken.parse(timed_api.issue(days=30))
    claims = {"sub": "1", "type": "service", "scope": "x", "token_id": row.token_id}
    dead = timed_api.sign(claims)
    world.put(dead)
    timed_api.revoke(str(row.token_id))
    assert world.rotation().check(probe=False).status is Status.ETERNAL
    assert world.rotation().check(probe=True).status is Status.REFUSED

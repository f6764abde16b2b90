"""SIGKILL after every change that a rotation makes in a store behind a server, and at the API."""

from collections.abc import Iterator

import pytest

from tests.backends.conftest import MANY_KINDS
from tests.backends.kinds import Site
from tests.backends.scene import Scene
from tests.support.crew import Crew
from tests.support.process import Runner

MOST = 40


@pytest.mark.parametrize("site", MANY_KINDS, indirect=True)
def test_the_next_run_brings_into_order_what_a_killed_one_left(
    site: Site,
    rotator: Runner,
    crew: Crew,
    moments: Iterator[int],
    long: bool,  # noqa: FBT001 - a fixture
) -> None:
    problems, changes = [], []
    for number in moments:
        with Scene(site, rotator, crew) as scene:
            killed = scene.kill_after(number)
            problems += [f"{number} {killed}: {each}" for each in _while_dead(scene)]
            if killed is None:
                break
            changes.append(killed)
            problems += [f"{number} {killed}: {each}" for each in _recovered(scene)]
        assert number < MOST
    assert problems == []
    assert number > 5
    for change in ("POST /api/auth/admin/service-tokens", "DELETE") if long else ():
        assert any(change in each for each in changes)


def _while_dead(scene: Scene) -> list[str]:
    secret = scene.site.secret()
    works = secret is not None and scene.api.accepts(secret)
    return [] if works else ["the bot has no token that works"]


def _recovered(scene: Scene) -> list[str]:
    result = scene.rotate()
    problems = []
    if result.status != 0 or result.err:
        problems.append(f"the next run ended with {result.status} and says {result.err!r}")
    live = [row.secret for row in scene.api.live_tokens()]
    if live != [scene.site.secret()]:
        left_over = len(set(live) - {scene.site.secret()})
        problems.append(f"{left_over} tokens are left over, of {len(live)} that live")
    if scene.old_token in live:
        problems.append("the old token lives")
    if scene.site.neighbours() != scene.neighbours:
        problems.append("something else in the store changed")
    return problems

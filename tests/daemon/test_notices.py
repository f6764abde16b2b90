from datetime import timedelta
from pathlib import Path

from rotator.config.settings import Secret
from tests.daemon.test_daemon import Watch
from tests.support.clock import FakeClock
from tests.support.listener import listener
from tests.support.sandbox import Fault, Sandbox
from tests.support.world import World

DAY = timedelta(days=1)


def test_a_failure_is_announced_when_it_begins_and_when_it_becomes_more_urgent(
    tmp_path: Path, timed_api: Sandbox, clock: FakeClock
) -> None:
    world = World(tmp_path, timed_api, clock)
    world.put(timed_api.issue(days=6))
    timed_api.misbehave(Fault.status(403), "POST /auth/admin/service-tokens", None)
    with listener() as (url, arrived):
        watch = Watch(world, notify=(Secret("test", value=url),))
        watch.start()
        for _ in range(3):
            watch.scheduler.step(timedelta(hours=1))
            clock.advance(1.9 * DAY)  # as if the machine had slept
        watch.scheduler.step(timedelta(hours=1))
        timed_api.behave()
        watch.scheduler.step(timedelta(hours=1))
    assert [(notice["title"], notice["message"].split(":")[0]) for notice in arrived[:-1]] == [
        ("luna-bot: rotation failed", f"luna-bot ({level})")
        for level in ("warning", "error", "critical")
    ]
    assert arrived[-1]["title"] == "luna-bot: token renewed"

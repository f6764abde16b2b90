import logging
from datetime import timedelta
from pathlib import Path

import pytest

from rotator.errors import ConfigError
from tests.daemon.test_daemon import Watch
from tests.support.clock import FakeClock
from tests.support.sandbox import Sandbox
from tests.support.stores import MeddledStore
from tests.support.world import World

HOUR = timedelta(hours=1)


@pytest.fixture
def watch(tmp_path: Path, timed_api: Sandbox, clock: FakeClock) -> Watch:
    watch = Watch(World(tmp_path, timed_api, clock))
    watch.world.put(watch.world.api.issue(days=60))
    watch.start()
    return watch


def test_a_reload_serves_the_new_tokens_and_forgets_the_old(watch: Watch) -> None:
    world = watch.world
    kept = world.secret()
    watch.fleet = [world.rotation(world.store("new.env"), name="new-bot")]
    assert watch.daemon.reload() is None
    watch.scheduler.step(timedelta())
    assert world.api.accepts(world.secret("new.env"))
    world.api.revoke(str(world.token().token_id))
    watch.scheduler.step(5 * HOUR)
    assert world.secret() == kept


def test_a_reload_of_wrong_settings_keeps_the_old_ones(
    watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    watch.fleet = ConfigError('rotator.toml: [defaults] validity: found "x", expected …')
    trouble = watch.daemon.reload()
    assert trouble
    assert "validity" in trouble
    assert trouble in caplog.text
    assert "the old settings stay in force" in caplog.text
    assert [record.levelno for record in caplog.records][-1] == logging.ERROR
    watch.world.api.revoke(str(watch.world.token().token_id))
    watch.scheduler.step(HOUR)
    assert watch.world.api.accepts(watch.world.secret())


def test_a_run_that_outlives_a_reload_plans_nothing(watch: Watch) -> None:
    world = watch.world
    old = watch.fleet
    assert isinstance(old, list)
    watch.fleet = [world.rotation(world.store("new.env"), name="new-bot")]
    watch.daemon.reload()
    watch.daemon._look(old[0], 0)  # noqa: SLF001 - the scheduler calls it, in a thread of its own
    assert [job.id for job in watch.scheduler.get_jobs()] == ["2/new-bot"]


def test_after_a_stop_nothing_is_begun(watch: Watch) -> None:
    watch.daemon.stop()
    calls = len(watch.world.api.calls)
    rotation = watch.world.rotation()
    watch.daemon._look(rotation, 0)  # noqa: SLF001 - a job that waited in the queue at the stop
    assert len(watch.world.api.calls) == calls


def test_a_look_that_waited_through_a_reload_is_not_made(watch: Watch) -> None:
    old = watch.fleet
    assert isinstance(old, list)
    watch.fleet = [watch.world.rotation()]
    watch.daemon.reload()
    calls = len(watch.world.api.calls)
    watch.daemon._look(old[0], 0)  # noqa: SLF001 - a job of before that waited in the queue
    assert len(watch.world.api.calls) == calls


def test_no_reload_ends_the_watch(watch: Watch, caplog: pytest.LogCaptureFixture) -> None:
    watch.fleet = FileNotFoundError("hunter2")
    watch.daemon.reload()
    assert "internal error: FileNotFoundError" in caplog.text
    assert "hunter2" not in caplog.text
    assert len(watch.scheduler.get_jobs()) == 1


def test_reloads_during_a_long_look_do_not_queue_up_behind_it(watch: Watch) -> None:
    world = watch.world
    reloads = iter(range(3))

    def reload_meanwhile() -> None:
        for _ in reloads:
            watch.daemon.reload()
            watch.scheduler.step(timedelta())  # the look that it plans finds the token busy

    slow = world.rotation(MeddledStore(world.store(), before_read=reload_meanwhile))
    watch.fleet = [slow]
    watch.daemon.reload()
    watch.scheduler.step(timedelta())
    assert len(watch.scheduler.get_jobs()) == 1
    world.api.revoke(str(world.token().token_id))
    watch.scheduler.step(2 * HOUR)
    assert world.api.accepts(world.secret())


def test_an_old_token_is_revoked_when_its_time_comes(watch: Watch) -> None:
    world = watch.world
    old = world.api.issue(days=3)
    world.put(old)
    watch.fleet = [world.rotation(retire=timedelta(minutes=10))]
    watch.daemon.reload()
    watch.scheduler.step(timedelta())
    assert world.api.accepts(old)
    watch.scheduler.step(timedelta(minutes=10, seconds=5))
    assert not world.api.accepts(old)

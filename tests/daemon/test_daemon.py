import logging
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Unpack

import pytest

from rotator.clock import limit_wait
from rotator.config.settings import ROTATION_TIMEOUT, Unused
from rotator.daemon.health import LOOK_PARTS, DaemonPhase, Health, ProbeResult
from rotator.daemon.scheduler import Daemon
from rotator.errors import ConfigError, StoreUnreachableError
from rotator.rotation.rotation import Rotation
from tests.support.clock import FakeClock
from tests.support.sandbox import Fault, Sandbox
from tests.support.scheduler import QueueExecutor, SteppedScheduler
from tests.support.stores import Failing, MeddledStore
from tests.support.world import EXCHANGE, Changes, World

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
NO_ADMIN = (Fault.refusal(403), "POST /auth/admin/service-tokens", None)


class Watch:
    """A daemon, its world, and the time that passes for both."""

    def __init__(self, world: World, **settings: Unpack[Changes]) -> None:
        self.world = world
        self.scheduler = SteppedScheduler(world.clock)
        self.fleet: Sequence[Rotation] | Exception = [world.rotation(**settings)]
        self.seconds = 0.0
        self.health = Health(lambda: self.seconds, lambda: True)
        self.daemon = Daemon(
            self.scheduler, self._load, world.clock, lambda low, _high: low, self.health
        )
        self.states = self.daemon.states

    def _load(self) -> Sequence[Rotation]:
        if isinstance(self.fleet, Exception):
            raise self.fleet
        return self.fleet

    def start(self) -> None:
        self.daemon.start()
        self.scheduler.step(timedelta())


@pytest.fixture
def watch(tmp_path: Path, timed_api: Sandbox, clock: FakeClock) -> Watch:
    return Watch(World(tmp_path, timed_api, clock))


def test_a_due_token_is_rotated_at_the_start(watch: Watch) -> None:
    watch.world.put(watch.world.api.issue(days=3))
    watch.start()
    assert watch.world.mints() == 1


def test_a_token_is_rotated_when_it_becomes_due_and_not_before(watch: Watch) -> None:
    old = watch.world.api.issue(days=8)
    watch.world.put(old)
    watch.start()
    watch.scheduler.step(DAY)
    assert watch.world.secret() == old
    watch.scheduler.step(timedelta(seconds=2))
    assert watch.world.secret() != old


def test_tokens_of_10_days_are_rotated_every_3_days(watch: Watch) -> None:
    watch.fleet = [watch.world.rotation(probe=False, validity=10 * DAY)]
    watch.world.put(watch.world.api.issue(days=3))
    watch.start()
    for _ in range(2):
        watch.scheduler.step(3 * DAY)
        before = watch.world.secret()
        watch.scheduler.step(timedelta(seconds=1))
        assert watch.world.secret() != before
    assert watch.world.mints() == 3


def test_an_old_token_is_revoked_at_its_time_however_many_looks_come_before(watch: Watch) -> None:
    old = watch.world.api.issue(days=3)
    watch.world.put(old)
    watch.fleet = [watch.world.rotation(retire=timedelta(hours=5, minutes=20))]
    watch.start()
    watch.scheduler.step(timedelta(hours=5, minutes=19))
    assert watch.world.api.accepts(old)
    watch.scheduler.step(timedelta(minutes=1, seconds=2))
    assert not watch.world.api.accepts(old)


def test_an_old_token_is_revoked_as_soon_as_it_has_been_unused_for_its_time(watch: Watch) -> None:
    watch.world.put(old := watch.world.api.issue(days=3))
    watch.fleet = [watch.world.rotation(retire=Unused(timedelta(hours=2, minutes=20)))]
    watch.start()
    watch.scheduler.step(timedelta(hours=1, minutes=10))
    watch.world.open_api()().exchange(old)
    watch.scheduler.step(timedelta(hours=2, minutes=19))
    assert watch.world.api.accepts(old)
    watch.scheduler.step(timedelta(minutes=1, seconds=5))
    assert not watch.world.api.accepts(old)


def test_an_old_token_in_use_is_revoked_as_soon_as_its_most_time_is_over(watch: Watch) -> None:
    watch.world.put(old := watch.world.api.issue(days=3))
    watch.fleet = [watch.world.rotation(retire=Unused(2 * HOUR, timedelta(hours=3, minutes=20)))]
    watch.start()
    for _ in range(3):
        watch.scheduler.step(timedelta(hours=1, minutes=5))
        watch.world.open_api()().exchange(old)
    watch.scheduler.step(timedelta(minutes=4))
    assert watch.world.api.accepts(old)
    watch.scheduler.step(timedelta(minutes=1, seconds=5))
    assert not watch.world.api.accepts(old)


def test_it_looks_at_least_once_an_hour(watch: Watch) -> None:
    watch.world.put(watch.world.api.issue(days=60))
    watch.start()
    probes = watch.world.api.calls.count(("POST", EXCHANGE, 200))
    watch.scheduler.step(DAY)
    assert watch.world.api.calls.count(("POST", EXCHANGE, 200)) >= probes + 24


def test_a_token_revoked_in_between_is_replaced_within_the_hour(watch: Watch) -> None:
    watch.world.put(watch.world.api.issue(days=60))
    watch.start()
    watch.world.api.revoke(str(watch.world.token().token_id))
    watch.scheduler.step(HOUR)
    assert watch.world.api.accepts(watch.world.secret())


def test_failed_runs_are_repeated_with_growing_pauses(watch: Watch) -> None:
    watch.world.put(watch.world.api.issue(days=3))
    watch.world.api.misbehave(*NO_ADMIN)
    pauses = []
    watch.start()
    for _ in range(9):
        moment = watch.scheduler.next_run()
        assert moment
        pauses.append(moment - watch.world.clock())
        watch.scheduler.step(pauses[-1])
    assert pauses == sorted(pauses)
    assert pauses[0] == timedelta(seconds=15)
    assert pauses[-1] == timedelta(minutes=30)
    watch.world.api.behave()
    watch.scheduler.step(HOUR)
    assert watch.world.mints() == 1


def test_a_failing_token_is_tried_until_its_last_minute(watch: Watch) -> None:
    watch.world.put(watch.world.api.issue(expires_at=watch.world.clock() + timedelta(minutes=20)))
    watch.world.api.misbehave(*NO_ADMIN)
    watch.start()
    watch.scheduler.step(timedelta(minutes=15))
    watch.world.api.behave()
    watch.scheduler.step(timedelta(minutes=4))
    assert watch.world.mints() == 1
    assert watch.world.api.accepts(watch.world.secret())


def test_a_run_that_comes_too_late_is_not_dropped(watch: Watch) -> None:
    watch.world.put(watch.world.api.issue(days=8))
    watch.start()
    watch.world.clock.advance(3 * DAY)  # the machine slept
    watch.scheduler.step(timedelta())
    assert watch.world.mints() == 1


@pytest.mark.parametrize("days", [-10, -1, 400])
def test_a_clock_that_was_set_does_not_put_it_to_sleep(watch: Watch, days: int) -> None:
    watch.world.put(watch.world.api.issue(days=500))
    watch.start()
    watch.world.clock.advance(days * DAY)
    watch.daemon.tick()
    watch.scheduler.step(timedelta())
    assert watch.world.api.calls.count(("POST", EXCHANGE, 200)) == 2


def test_a_tick_on_a_clock_that_runs_well_changes_nothing(watch: Watch) -> None:
    watch.world.put(watch.world.api.issue(days=60))
    watch.start()
    before = watch.scheduler.next_run()
    watch.daemon.tick()
    assert watch.scheduler.next_run() == before


def test_a_look_that_ends_in_a_bug_is_repeated(
    watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    world, bugs = watch.world, iter([SystemExit("hunter2")])

    def break_once() -> None:
        for bug in bugs:  # no Exception: nothing but the daemon itself catches it
            raise bug

    watch.fleet = [world.rotation(MeddledStore(world.store(), before_read=break_once))]
    world.put(world.api.issue(days=3))
    watch.start()
    assert world.mints() == 0
    assert "luna-bot: internal error: SystemExit at " in caplog.text
    assert "hunter2" not in caplog.text
    watch.scheduler.step(timedelta(minutes=1))
    assert world.mints() == 1


def test_a_look_that_no_thread_could_be_started_for_is_made_up_within_the_hour(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_executor: object, _job: object, _run_times: object) -> None:
        raise RuntimeError("can't start new thread")

    watch.world.put(watch.world.api.issue(days=3))
    with monkeypatch.context() as broken:
        broken.setattr(QueueExecutor, "_do_submit_job", refuse)
        watch.start()
    assert watch.scheduler.get_jobs() == []
    watch.daemon.tick()
    watch.scheduler.step(HOUR)
    assert watch.world.mints() == 1


def test_a_look_in_hand_is_not_planned_a_second_time_by_a_tick(watch: Watch) -> None:
    world = watch.world
    slow = MeddledStore(world.store(), before_read=watch.daemon.tick)
    watch.fleet = [world.rotation(slow)]
    world.put(world.api.issue(days=60))
    watch.start()
    assert len(watch.scheduler.get_jobs()) == 1
    watch.scheduler.step(HOUR)
    assert len(watch.scheduler.get_jobs()) == 1


def test_a_look_that_hangs_is_not_healthy(watch: Watch) -> None:
    def hang() -> None:
        watch.seconds += 2 * HOUR.total_seconds()
        watch.health.beat()
        found.append(watch.health.liveness())

    found: list[ProbeResult] = []
    watch.health.phase = DaemonPhase.RUNNING
    watch.fleet = [watch.world.rotation(MeddledStore(watch.world.store(), before_read=hang))]
    watch.start()
    assert found[0].message == "a look at luna-bot has been in hand for 2 hours: it hangs"
    assert watch.health.liveness().ok


def test_the_waits_of_a_look_end_in_time_and_sooner_at_a_stop(watch: Watch) -> None:
    def stop() -> None:
        left.append(limit_wait(9999))
        watch.daemon.stop()
        left.append(limit_wait(9999))

    left: list[float] = []
    watch.fleet = [watch.world.rotation(MeddledStore(watch.world.store(), before_read=stop))]
    watch.start()
    timeout = ROTATION_TIMEOUT.total_seconds()
    assert timeout < left[0] <= LOOK_PARTS * timeout
    assert left[1] <= timeout


def test_a_store_that_was_down_catches_up_without_a_mint(watch: Watch) -> None:
    down = StoreUnreachableError("the store is down")
    world = watch.world
    second = MeddledStore(world.store("b.env"), before_read=Failing(down, 1, 2))
    watch.fleet = [world.rotation(world.store(), second)]
    world.put(world.api.issue(days=3))
    watch.start()
    assert not (world.folder / "b.env").exists()
    watch.scheduler.step(HOUR)
    assert world.secret("b.env") == world.secret()
    assert world.mints() == 1


def test_every_decision_is_logged_in_a_line(watch: Watch, caplog: pytest.LogCaptureFixture) -> None:
    watch.world.put(watch.world.api.issue(days=3))
    with caplog.at_level(logging.INFO, "rotator"):
        watch.start()
    assert "watching luna-bot" in caplog.text
    assert "luna-bot: rotated (expiring) – new token " in caplog.text
    assert "next look at 2026-11-23T12:54:00Z" in caplog.text


def test_a_token_that_is_refused_within_its_first_hour_is_renewed_at_the_next_look(
    watch: Watch,
) -> None:
    watch.start()
    watch.world.api.revoke(str(watch.world.token().token_id))
    watch.scheduler.step(timedelta(minutes=54))
    assert watch.world.api.accepts(watch.world.secret())


def test_a_start_with_wrong_settings_fails(watch: Watch) -> None:
    watch.fleet = ConfigError("rotator.toml: …")
    with pytest.raises(ConfigError):
        watch.daemon.start()


def test_every_look_is_recorded(watch: Watch) -> None:
    world = watch.world
    world.put(world.api.issue(days=3))
    world.api.misbehave(*NO_ADMIN)
    watch.start()
    world.api.behave()
    watch.scheduler.step(timedelta(minutes=1))
    state = watch.states.by_name()["luna-bot"]
    assert state
    assert [entry.failure for entry in state.history] == [None, "not-admin"]
    assert state.last.next_at
    assert timedelta() < state.last.next_at - world.clock() <= HOUR

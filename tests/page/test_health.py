from datetime import timedelta

import pytest

from rotator.config.settings import TokenSettings
from rotator.daemon.health import (
    LONGEST_SILENCE,
    LOOK_MARGIN,
    LOOK_PARTS,
    DaemonPhase,
    Health,
    ProbeResult,
)
from rotator.rotation.threads import WORKERS


class Daemon:
    """The two things that a probe can see of it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.lives = True
        self.health = Health(lambda: self.now, lambda: self.lives)


@pytest.fixture
def daemon() -> Daemon:
    return Daemon()


def test_one_that_runs_is_healthy_and_ready(daemon: Daemon) -> None:
    daemon.health.phase = DaemonPhase.RUNNING
    assert daemon.health.liveness() == ProbeResult(ok=True, message="ok")
    assert daemon.health.readiness() == ProbeResult(ok=True, message="ready")


@pytest.mark.parametrize("phase", [DaemonPhase.STARTING, DaemonPhase.STOPPING])
def test_one_that_starts_or_stops_is_healthy_but_not_ready(
    daemon: Daemon, phase: DaemonPhase
) -> None:
    daemon.health.phase = phase
    daemon.lives = False
    assert daemon.health.liveness().ok
    assert daemon.health.readiness() == ProbeResult(ok=False, message=phase)


def test_a_scheduler_that_died_is_a_case_for_a_restart(daemon: Daemon) -> None:
    daemon.health.phase = DaemonPhase.RUNNING
    daemon.lives = False
    assert daemon.health.liveness() == ProbeResult(ok=False, message="the scheduler has ended")
    assert not daemon.health.readiness().ok


@pytest.mark.parametrize("phase", [DaemonPhase.STARTING, DaemonPhase.RUNNING])
def test_a_main_thread_that_hangs_is_a_case_for_a_restart(
    daemon: Daemon, phase: DaemonPhase
) -> None:
    daemon.health.phase = phase
    daemon.now += LONGEST_SILENCE
    assert daemon.health.liveness().ok
    daemon.now += 1
    assert daemon.health.liveness().message == "the main thread has been hanging for 301 seconds"
    daemon.health.beat()
    assert daemon.health.liveness().ok


def test_a_look_that_takes_longer_than_it_can_is_a_case_for_a_restart(daemon: Daemon) -> None:
    minute = timedelta(minutes=1)
    slow = TokenSettings("slow", "", (), rotation_timeout=9 * minute)
    quick = TokenSettings(
        "quick",
        "",
        (),
        rotation_timeout=minute,
        hooks=(("a",), ("b",)),
        hook_timeout=minute,
        restart=("c",),
    )
    daemon.health.phase = DaemonPhase.RUNNING
    daemon.health.tokens = (slow, quick)
    hooks = 3 * minute
    longest = LOOK_PARTS * minute + WORKERS * hooks + hooks + LOOK_MARGIN
    with daemon.health.look("slow"), daemon.health.look("quick"):
        daemon.now += longest.total_seconds()
        daemon.health.beat()
        assert daemon.health.liveness().ok
        daemon.now += 60
        assert daemon.health.liveness() == ProbeResult(
            ok=False, message="a look at quick has been in hand for 38 minutes: it hangs"
        )
        assert not daemon.health.readiness().ok
        daemon.health.phase = DaemonPhase.STOPPING
        assert daemon.health.liveness().ok
        daemon.health.phase = DaemonPhase.RUNNING
    assert daemon.health.liveness().ok


def test_a_stop_may_take_as_long_as_the_rotation_in_hand(daemon: Daemon) -> None:
    daemon.health.phase = DaemonPhase.STOPPING
    daemon.now += 3600
    assert daemon.health.liveness().ok


def test_settings_that_could_not_be_read_again_leave_it_ready_and_are_told(daemon: Daemon) -> None:
    daemon.health.phase = DaemonPhase.RUNNING
    daemon.health.reload_error = "rotator.toml: [api] url: found …"
    readiness = daemon.health.readiness()
    assert readiness.ok
    assert "rotator.toml: [api] url" in readiness.message
    assert "the old settings stay in force" in readiness.message


def test_a_look_at_many_tokens_may_take_as_many_rounds_as_they_need(daemon: Daemon) -> None:
    minute = timedelta(minutes=1)
    tokens = [
        TokenSettings(str(number), "", (), rotation_timeout=minute, hook_timeout=minute)
        for number in range(2 * WORKERS)
    ]
    daemon.health.phase = DaemonPhase.RUNNING
    daemon.health.tokens = tokens
    with daemon.health.look(*(token.name for token in tokens)):
        daemon.now += (2 * LOOK_PARTS * minute + LOOK_MARGIN).total_seconds()
        daemon.health.beat()
        assert daemon.health.liveness().ok
        daemon.now += 1
        assert not daemon.health.liveness().ok

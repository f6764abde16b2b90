import pytest

from rotator.daemon.health import LONGEST_SILENCE, Health, Phase, Probe


class Daemon:
    """The two things that a probe can see of it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.lives = True
        self.condition = Health(lambda: self.now, lambda: self.lives)


@pytest.fixture
def daemon() -> Daemon:
    return Daemon()


def test_one_that_runs_is_healthy_and_ready(daemon: Daemon) -> None:
    daemon.condition.phase = Phase.RUNNING
    assert daemon.condition.health() == Probe(good=True, line="ok")
    assert daemon.condition.readiness() == Probe(good=True, line="ready")


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.STOPPING])
def test_one_that_starts_or_stops_is_healthy_but_not_ready(daemon: Daemon, phase: Phase) -> None:
    daemon.condition.phase = phase
    daemon.lives = False
    assert daemon.condition.health().good
    assert daemon.condition.readiness() == Probe(good=False, line=phase)


def test_a_scheduler_that_died_is_a_case_for_a_restart(daemon: Daemon) -> None:
    daemon.condition.phase = Phase.RUNNING
    daemon.lives = False
    assert daemon.condition.health() == Probe(good=False, line="the scheduler has ended")
    assert not daemon.condition.readiness().good


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.RUNNING])
def test_a_main_thread_that_hangs_is_a_case_for_a_restart(daemon: Daemon, phase: Phase) -> None:
    daemon.condition.phase = phase
    daemon.now += LONGEST_SILENCE
    assert daemon.condition.health().good
    daemon.now += 1
    assert daemon.condition.health().line == "the main thread hangs since 301 seconds"
    daemon.condition.beat()
    assert daemon.condition.health().good


def test_a_stop_may_take_as_long_as_the_rotation_in_hand(daemon: Daemon) -> None:
    daemon.condition.phase = Phase.STOPPING
    daemon.now += 3600
    assert daemon.condition.health().good


def test_settings_that_could_not_be_read_again_leave_it_ready_and_are_told(daemon: Daemon) -> None:
    daemon.condition.phase = Phase.RUNNING
    daemon.condition.trouble = "rotator.toml: [api] url: found …"
    readiness = daemon.condition.readiness()
    assert readiness.good
    assert "rotator.toml: [api] url" in readiness.line
    assert "stay as they were" in readiness.line

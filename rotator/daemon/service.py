"""The daemon as a process: its scheduler, its signals and its status page."""

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC
from random import SystemRandom

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from rotator import wiring
from rotator.clock import Clock
from rotator.config.settings import Settings
from rotator.daemon.health import DaemonPhase, Health
from rotator.daemon.scheduler import Daemon
from rotator.daemon.web import ListenAddress, PageServer, Site
from rotator.exec.signals import RELOAD, STOP, SelfPipe
from rotator.rotation.in_flight import InFlightMints
from rotator.rotation.inventory import WORKERS
from rotator.rotation.rotation import Rotation

TICK = 60.0  # seconds
_log = logging.getLogger(__name__)


class Scheduler(BackgroundScheduler):  # type: ignore[misc] # APScheduler has no types
    """APScheduler in a thread of its own, which says whether that thread is alive."""

    def is_alive(self) -> bool:
        return self._thread is not None and bool(self._thread.is_alive())


def serve(load: Callable[[], Settings], clock: Clock, address: ListenAddress | None) -> None:
    """Watch the fleet until SIGTERM or SIGINT; SIGHUP reads the settings again.

    The page is served at `address`, if any, from before the first look until after the last.
    Raises `ConfigError` when the settings are wrong at the start, or `address` cannot be used.
    """
    in_flight = InFlightMints()  # outlives a reload, as a mint does
    scheduler = Scheduler(executors={"default": ThreadPoolExecutor(WORKERS)}, timezone=UTC)
    health = Health(time.monotonic, scheduler.is_alive)

    def load_fleet() -> list[Rotation]:
        settings = load()
        wiring.require_rotation(settings)
        rotations = wiring.build_rotations(settings, (), clock, in_flight)
        health.tokens = settings.tokens
        return rotations

    daemon = Daemon(scheduler, load_fleet, clock, SystemRandom().uniform, health)
    with ExitStack() as stack:
        pipe = SelfPipe()
        stack.enter_context(pipe.receive(*STOP, *RELOAD))
        if address is not None:
            server = PageServer(address, Site(daemon.states, health, clock, time.monotonic))
            _log.info("the status page is at http://%s/", server.address)
            stack.enter_context(server.serving())
        daemon.start()
        health.phase = DaemonPhase.RUNNING
        while (number := next(iter(pipe.wait(TICK, most=1)), None)) not in STOP:
            if number in RELOAD:
                health.reload_error = daemon.reload()
            daemon.tick()
            health.beat()
        health.phase = DaemonPhase.STOPPING
        _log.info("stopping; a rotation in hand is finished first")
        daemon.stop()

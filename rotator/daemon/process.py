"""The process of the daemon: its settings, its signals and its page, from the start to the end."""

import logging
import signal
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from random import SystemRandom

from rotator import wiring
from rotator.clock import Clock
from rotator.config.settings import Settings
from rotator.daemon.health import DaemonPhase, Health
from rotator.daemon.reaper import ZombieReaper
from rotator.daemon.scheduler import Daemon, Scheduler
from rotator.daemon.web import ListenAddress, PageServer, PageSite
from rotator.rotation.in_flight import InFlightMints
from rotator.rotation.rotation import Rotation
from rotator.signals import RELOAD, STOP, SelfPipe
from rotator.wiring import requirements

TICK = 60.0  # seconds
_log = logging.getLogger(__name__)


def serve(
    load: Callable[[], Settings],
    clock: Clock,
    scheduler: Scheduler,
    address: ListenAddress | None,
) -> None:
    """Watch the fleet until SIGTERM or SIGINT; SIGHUP reads the settings again.

    The page is served at `address`, if any, from before the first look until after the last.
    Raises `ConfigError` when the settings are wrong at the start, or `address` cannot be used.
    """
    in_flight: wiring.MintsByApi = defaultdict(InFlightMints)  # outlives a reload, as a mint does
    health = Health(time.monotonic, scheduler.is_alive)

    def load_fleet() -> list[Rotation]:
        settings = load()
        requirements.require_rotation(settings)
        rotations = wiring.build_rotations(settings, (), clock, in_flight)
        health.tokens = settings.tokens
        return rotations

    daemon = Daemon(scheduler, load_fleet, clock, SystemRandom().uniform, health)
    with ExitStack() as stack:
        pipe, zombies = SelfPipe(), ZombieReaper(time.monotonic)
        stack.enter_context(pipe.receive(*STOP, *RELOAD, signal.SIGCHLD))
        if address is not None:
            server = PageServer(address, PageSite(daemon.states, health, clock, time.monotonic))
            _log.info("the status page is at http://%s/", server.address)
            stack.enter_context(server.serving())
        daemon.start()
        health.phase = DaemonPhase.RUNNING
        while (number := next(iter(pipe.wait(TICK, most=1)), None)) not in STOP:
            if number in RELOAD:
                health.reload_error = daemon.reload()
            zombies.reap()
            daemon.tick()
            health.beat()
        health.phase = DaemonPhase.STOPPING
        _log.info("stopping; a rotation in hand is finished first")
        daemon.stop()

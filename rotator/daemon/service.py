"""The daemon as a process: a real scheduler, real signals."""

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC
from random import SystemRandom

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from rotator import wiring
from rotator.clock import Clock
from rotator.config.settings import Settings
from rotator.daemon.health import Health, Phase
from rotator.daemon.scheduler import Daemon
from rotator.daemon.web import Address
from rotator.exec.signals import RELOAD, STOP, await_signals
from rotator.rotation.in_flight import InFlightMints
from rotator.rotation.inventory import WORKERS
from rotator.rotation.rotation import Rotation
from rotator.rotation.states import TokenStates

TICK = 60.0  # seconds
_log = logging.getLogger(__name__)


class Scheduler(BackgroundScheduler):  # type: ignore[misc] # APScheduler has no types
    """APScheduler's own, in a thread of its own, which can be asked after."""

    def lives(self) -> bool:
        """Tell whether that thread runs."""
        return self._thread is not None and bool(self._thread.is_alive())


def serve(load: Callable[[], Settings], clock: Clock, address: Address | None) -> None:
    """Keep the fleet alive until SIGTERM or SIGINT; SIGHUP reads the settings again.

    The page is at `address`, if there is one, from before the first look until after the last.
    Raises `ConfigError` when the settings are wrong at the start, or the address cannot be had.
    """
    in_flight = InFlightMints()  # outlives a reload, as a mint in flight does
    board = TokenStates()
    scheduler = Scheduler(executors={"default": ThreadPoolExecutor(WORKERS)}, timezone=UTC)
    condition = Health(time.monotonic, scheduler.lives)

    def fleet() -> list[Rotation]:
        settings = load()
        wiring.require_login(settings.api)
        wiring.require_notices(settings)
        wiring.require_restarts(settings)
        rotations = wiring.build_rotations(settings, (), clock, in_flight)
        condition.tokens = settings.tokens
        return rotations

    daemon = Daemon(scheduler, fleet, clock, SystemRandom().uniform, board)
    with await_signals() as next_signal, _page(address, board, condition, clock):
        daemon.start()
        condition.phase = Phase.RUNNING
        while (number := next_signal(TICK)) not in STOP:
            if number in RELOAD:
                condition.trouble = daemon.reload()
            daemon.tick()
            condition.beat()
        condition.phase = Phase.STOPPING
        _log.info("stopping; a rotation in hand is finished first")
        daemon.stop()


def _page(
    address: Address | None, board: TokenStates, condition: Health, clock: Clock
) -> AbstractContextManager[None]:
    if address is None:
        return nullcontext()
    from rotator.daemon.web import (  # noqa: PLC0415 - few want the page
        PageServer,
        Site,
        serving,
    )

    server = PageServer(address, Site(board, condition, clock, time.monotonic))
    _log.info("the status page is at http://%s/", server.address)
    return serving(server)

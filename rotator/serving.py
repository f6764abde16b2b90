"""The daemon as a process: a real scheduler, real signals."""

import logging
from collections.abc import Callable
from datetime import UTC
from random import SystemRandom

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from rotator import composition
from rotator.board import Board
from rotator.daemon import Daemon
from rotator.fleet import WORKERS
from rotator.recovery.ledger import Ledger
from rotator.rotation import Rotation
from rotator.settings import Settings
from rotator.signals import RELOAD, STOP, arriving_signals
from rotator.times import Clock

TICK = 60.0  # seconds
_log = logging.getLogger(__name__)


def serve(load: Callable[[], Settings], clock: Clock) -> None:
    """Keep the fleet alive until SIGTERM or SIGINT; SIGHUP reads the settings again.

    Raises `ConfigError` when the settings are wrong at the start.
    """
    ledger = Ledger()  # outlives a reload, as a mint in flight does

    def fleet() -> list[Rotation]:
        settings = load()
        composition.require_login(settings.api)
        composition.require_notices(settings)
        composition.require_restarts(settings)
        return composition.rotations(settings, (), clock, ledger)

    scheduler = BackgroundScheduler(
        executors={"default": ThreadPoolExecutor(WORKERS)}, timezone=UTC
    )
    daemon = Daemon(scheduler, fleet, clock, SystemRandom().uniform, Board())
    with arriving_signals() as next_signal:
        daemon.start()
        while (number := next_signal(TICK)) not in STOP:
            if number in RELOAD:
                daemon.reload()
            daemon.tick()
        _log.info("stopping; a rotation in hand is finished first")
        daemon.stop()

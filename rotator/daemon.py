"""The scheduler that stays up: APScheduler around one token each.

Every token has one date job, at the moment when it becomes due or within the hour, whichever is
earlier; the run that ends plans the next. Nothing is stored: a restart looks at everything again.
"""

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from rotator.errors import ConfigError
from rotator.fleet import guarded
from rotator.output import line
from rotator.report import Report
from rotator.rotation import Order, Rotation
from rotator.schedule import Draw, pause
from rotator.statuses import UNUSABLE
from rotator.times import Clock, rfc3339

_log = logging.getLogger(__name__)

Load = Callable[[], Sequence[Rotation]]


class Daemon:
    """Keeps a fleet alive; `load` reads the config and is called again by `reload`.

    `scheduler` is an APScheduler 3 scheduler that nobody has started yet.
    """

    def __init__(self, scheduler: Any, load: Load, clock: Clock, draw: Draw) -> None:  # noqa: ANN401 - APScheduler has no types
        self._scheduler = scheduler
        self._load = load
        self._clock = clock
        self._draw = draw
        self._stopping = threading.Event()
        self._fleet: dict[str, Rotation] = {}
        self._busy: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def start(self) -> None:
        """Look at every token at once; raises `ConfigError` when the config is wrong."""
        self._adopt(self._load())
        _log.info("watching %s", ", ".join(self._fleet))
        self._scheduler.start()

    def reload(self) -> None:
        """Read the config again; a wrong one is reported, and the old one stays in force."""
        try:
            fleet = self._load()
        except ConfigError as error:
            _log.error("%s; the settings in force stay as they were", error)
            return
        self._scheduler.remove_all_jobs()
        self._adopt(fleet)
        _log.info("read the settings again; watching %s", ", ".join(self._fleet))

    def stop(self) -> None:
        """Finish the rotations in hand and begin no other."""
        self._stopping.set()
        self._scheduler.shutdown(wait=True)

    def _adopt(self, fleet: Sequence[Rotation]) -> None:
        self._fleet = {rotation.name: rotation for rotation in fleet}
        for rotation in fleet:
            self._plan(rotation, self._clock(), 0)

    def _plan(self, rotation: Rotation, moment: Any, failures: int) -> None:  # noqa: ANN401 - passed on as it is
        self._scheduler.add_job(
            self._look,
            "date",
            run_date=moment,
            args=(rotation, failures),
            id=rotation.name,
            replace_existing=True,
            misfire_grace_time=None,  # the default drops a job that is a second late
            coalesce=True,
        )

    def _look(self, rotation: Rotation, failures: int) -> None:
        if self._stopping.is_set():
            return
        with self._busy[rotation.name]:
            report = guarded(rotation, lambda token: token.rotate(Order()))
        if self._stopping.is_set() or self._fleet.get(rotation.name) is not rotation:
            _tell(report, "no further look")
            return
        failures = failures + 1 if report.error else 0
        moment = self._clock() + pause(report, rotation.renew_before, failures, self._draw)
        _tell(report, f"next look at {rfc3339(moment)}")
        self._plan(rotation, moment, failures)


def _tell(report: Report, outlook: str) -> None:
    if report.error:
        _log.error("%s: %s; %s", report.name, report.error, outlook)
    else:
        level = logging.WARNING if report.status in UNUSABLE else logging.INFO
        _log.log(level, "%s; %s", line(report), outlook)

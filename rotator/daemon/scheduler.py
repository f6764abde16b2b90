"""When to look at a token again: pure arithmetic over its last report."""

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from apscheduler.jobstores.base import JobLookupError

from rotator.audit import token_field
from rotator.clock import Clock, Draw, rfc3339
from rotator.errors import ConfigError, internal_error
from rotator.rotation.fleet import run_guarded
from rotator.rotation.model import CHANGED, OldTokenState, Report, RotateOptions
from rotator.rotation.report import summarize
from rotator.rotation.rotation import Rotation
from rotator.rotation.severity import RetrySchedule, notify_failures, with_severity
from rotator.rotation.states import Look, TokenStates

# A hand-changed store or a token refused by the server is noticed within this time.
LONGEST_PAUSE = timedelta(hours=1)
FIRST_RETRY = timedelta(seconds=30)
SHORTEST_PAUSE = timedelta(seconds=1)
SPREAD = timedelta(seconds=30)
BUSY_PAUSE = timedelta(seconds=5)

HOURLY = RetrySchedule("with at least one an hour", lambda left: max(3, int(left / LONGEST_PAUSE)))

"""Draws a number between two others, like `random.uniform`: the jitter, passed in."""


def next_delay(report: Report, renew_before: timedelta, failures: int, draw: Draw) -> timedelta:
    """Return the time until the next look; `failures` counts the failed ones in a row."""
    if failures:
        return max(SHORTEST_PAUSE, _retry(report, failures) * draw(0.5, 1.0))
    regular = LONGEST_PAUSE * draw(0.9, 1.0)
    if report.seconds_left is None:
        return regular
    # The boundary is strict, so the token is due just after this moment, not at it.
    until_due = timedelta(seconds=report.seconds_left) - renew_before
    if until_due < timedelta():
        return regular
    return min(regular, until_due + SHORTEST_PAUSE + SPREAD * draw(0.0, 1.0))


def revocation_times(report: Report, now: datetime) -> Iterator[datetime]:
    """Return the moments after `now` at which an old token is to be revoked."""
    for old in report.old_tokens:
        if old.state is OldTokenState.WAITING and old.due_at > now:
            yield old.due_at + SHORTEST_PAUSE


def _retry(report: Report, failures: int) -> timedelta:
    grown = min(FIRST_RETRY * (1 << min(failures - 1, 20)), LONGEST_PAUSE)
    left = report.seconds_left
    if left is None or left <= 0:
        return grown
    # Three tries fit into whatever is left: a pause never outlasts the token.
    return min(grown, timedelta(seconds=left) / 3)


_log = logging.getLogger(__name__)

Load = Callable[[], Sequence[Rotation]]


class Daemon:
    """Keeps a fleet alive; `load` reads the config and is called again by `reload`.

    `scheduler` is an APScheduler 3 scheduler that nobody has started yet; what every look comes to
    is posted to `board`.
    """

    def __init__(
        self,
        scheduler: Any,  # noqa: ANN401 - APScheduler has no types
        load: Load,
        clock: Clock,
        draw: Draw,
        board: TokenStates,
    ) -> None:
        self._scheduler = scheduler
        self._load = load
        self._clock = clock
        self._draw = draw
        self._board = board
        self._plans = threading.Lock()  # what is in force, and its jobs, change together
        self._stopping = False
        self._reloads = 0
        self._fleet: dict[str, Rotation] = {}
        self._told: dict[str, str | None] = {}
        self._busy: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def start(self) -> None:
        """Look at every token at once; raises `ConfigError` when the config is wrong."""
        self._adopt(self._load())
        _log.info("watching %s", ", ".join(self._fleet))
        self._scheduler.start()

    def reload(self) -> str | None:
        """Read the config again; of a wrong one return why, and the old one stays in force."""
        try:
            fleet = self._load()
        except ConfigError as error:
            return _kept(str(error))
        except Exception as error:  # noqa: BLE001 - no reload may end the watch
            return _kept(internal_error(error))
        self._adopt(fleet)
        _log.info("read the settings again; watching %s", ", ".join(self._fleet))
        return None

    def tick(self) -> None:
        """Notice a clock that was set; to be called every minute or so.

        Jobs wait for a time of the wall clock: set back by ten days, it would bring them ten days
        late; set forward, the scheduler sleeps on all the same until it is woken.
        """
        for job in self._scheduler.get_jobs():
            if job.next_run_time - self._clock() > LONGEST_PAUSE:
                with suppress(JobLookupError):  # the clock was set once more, and the job ran
                    self._scheduler.reschedule_job(job.id, trigger="date", run_date=self._clock())
        self._scheduler.wakeup()

    def stop(self) -> None:
        """Finish the rotations in hand and begin no other."""
        with self._plans:
            self._stopping = True
        self._scheduler.pause()
        self._scheduler.get_jobs()  # waits until jobs that are being handed out just now are gone
        self._scheduler.shutdown(wait=True)

    def _adopt(self, fleet: Sequence[Rotation]) -> None:
        with self._plans:
            self._reloads += 1
            self._fleet = {rotation.name: rotation for rotation in fleet}
            self._board.watch(self._fleet)
            self._scheduler.remove_all_jobs()
            for rotation in fleet:
                self._plan(rotation, self._clock(), 0)

    def _plan(self, rotation: Rotation, moment: datetime, failures: int) -> None:
        self._scheduler.add_job(
            self._look,
            "date",
            run_date=moment,
            args=(rotation, failures),
            # APScheduler drops a job while another one of its id runs: after a reload, the look
            # that is still in hand has the old number.
            id=f"{self._reloads}/{rotation.name}",
            misfire_grace_time=None,  # the default drops a job that is a second late
            coalesce=True,
        )

    def _look(self, rotation: Rotation, failures: int) -> None:
        busy = self._busy[rotation.name]
        if not busy.acquire(blocking=False):  # a look from before a reload is still in hand
            with self._plans:
                if self._in_force(rotation):
                    self._plan(rotation, self._clock() + BUSY_PAUSE, failures)
            return
        try:
            if not self._in_force(rotation):
                return
            begun = self._clock()
            found = run_guarded(rotation, lambda token: token.rotate(RotateOptions()))
        finally:
            busy.release()
        report = with_severity(found, rotation.renew_before, HOURLY)
        failures = failures + 1 if report.error else 0
        self._tell_people(rotation, report)
        now = self._clock()
        moment = now + next_delay(report, rotation.renew_before, failures, self._draw)
        moment = min((moment, *revocation_times(report, now)))
        with self._plans:
            watched = self._in_force(rotation)
            if watched:
                self._plan(rotation, moment, failures)
        self._board.post(Look(report, begun, now, moment if watched else None))
        _tell(report, f"next look at {rfc3339(moment)}" if watched else "no further look")

    def _tell_people(self, rotation: Rotation, report: Report) -> None:
        """Send a notice of a failure when it is new, or more urgent than it was."""
        told = self._told.get(rotation.name)
        self._told[rotation.name] = report.level
        if report.level is not None and report.level != told:
            notify_failures([(rotation, report)])

    def _in_force(self, rotation: Rotation) -> bool:
        return not self._stopping and self._fleet.get(rotation.name) is rotation


def _kept(trouble: str) -> str:
    _log.error("%s; the settings in force stay as they were", trouble)
    return trouble


def _tell(report: Report, outlook: str) -> None:
    if not report.level or report.action in CHANGED:
        _log.info("%s; %s", summarize(report), outlook)
    if report.level:
        number = logging.getLevelNamesMapping()[report.level.upper()]
        _log.log(
            number, "%s: %s; %s", report.name, report.error, outlook, extra=token_field(report.name)
        )

"""When to look at a token again, and the daemon that plans and runs these looks."""

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler

from rotator.audit import token_field
from rotator.clock import Clock, Draw, TimeBudget, rfc3339
from rotator.config.settings import NoticeEvent
from rotator.daemon.health import OLD_SETTINGS, Health
from rotator.daemon.turns import Turns, is_held_back
from rotator.errors import ConfigError, RotatorError, internal_error
from rotator.rotation.fleet import (
    find_shared,
    finish_together,
    group_of,
    notify_failures,
    run_guarded,
)
from rotator.rotation.model import CHANGED, Action, OldTokenState
from rotator.rotation.policy import RotateOptions
from rotator.rotation.report import Report, summarize
from rotator.rotation.retry import SHORTEST_PAUSE, backoff, retry_delay
from rotator.rotation.rotation import Rotation
from rotator.rotation.severity import RetrySchedule, with_severity
from rotator.rotation.states import Look, TokenStates
from rotator.rotation.threads import WORKERS

# A store that was changed by hand and a token that was revoked are noticed within this time.
LONGEST_PAUSE = timedelta(hours=1)
DUE_SPREAD = timedelta(seconds=30)
BUSY_PAUSE = timedelta(seconds=5)
# Restarts and notices of looks so near each other are done once for all.
TOGETHER = timedelta(seconds=5)
FINISHING = "finishing"  # a thread of its own: at start, looks queue for all others
LONGEST_TOGETHER = timedelta(minutes=1)
HOURLY = RetrySchedule("with at least one an hour", lambda left: max(3, int(left / LONGEST_PAUSE)))
LOG_OUT = 5.0  # seconds; nothing depends on it
_log = logging.getLogger(__name__)


def next_delay(report: Report, renew_before: timedelta, failures: int, draw: Draw) -> timedelta:
    """Return the time until the next look; `failures` counts the failed looks in a row."""
    if failures:
        return retry_delay(report, failures, draw)
    regular = LONGEST_PAUSE * draw(0.9, 1.0)
    if report.seconds_left is None:
        return regular
    # The boundary is strict: the token is due just after this moment, not at it.
    until_due = timedelta(seconds=report.seconds_left) - renew_before
    if until_due < timedelta():
        return regular
    return min(regular, until_due + SHORTEST_PAUSE + DUE_SPREAD * draw(0.0, 1.0))


class Daemon:
    """Looks at every token of a fleet, and after each look plans the next one.

    `load` reads the config, at the start and on `reload`. `scheduler` is an APScheduler 3 scheduler
    that is not started yet. `health` measures every look, and `states` has what came of it.
    """

    def __init__(
        self,
        scheduler: Any,  # noqa: ANN401 - APScheduler has no types
        load: Callable[[], Sequence[Rotation]],
        clock: Clock,
        draw: Draw,
        health: Health,
    ) -> None:
        self._scheduler = scheduler
        self._load = load
        self._clock = clock
        self._draw = draw
        self._health = health
        self.states = TokenStates()
        self._planning = threading.RLock()  # the fleet and its jobs change together
        self._stopping = False
        self._loads = 0
        self._fleet: dict[str, Rotation] = {}
        self._notified: dict[str, str | None] = {}
        self._turns = Turns()
        self._looking: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._shared: frozenset[str] = frozenset()
        self._left: dict[str, tuple[Rotation, int, datetime]] = {}
        self._failed: list[tuple[Rotation, Report]] = []
        self._collected_since: datetime | None = None  # what was left and what failed

    def start(self) -> None:
        """Look at every token now; raises `ConfigError` when the config is wrong."""
        self._watch(self._load())
        _log.info("watching %s", ", ".join(self._fleet))
        self._scheduler.start()

    def reload(self) -> str | None:
        """Read the config again; return what is wrong with it, and then keep the old one."""
        try:
            fleet = self._load()
        except Exception as error:  # noqa: BLE001 - no config may end the watch
            reason = str(error) if isinstance(error, ConfigError) else internal_error(error)
            _log.error("%s; %s", reason, OLD_SETTINGS)
            return reason
        self._watch(fleet)
        _log.info("read the settings again; watching %s", ", ".join(self._fleet))
        return None

    def tick(self) -> None:
        """Put the plan right; to be called about every minute.

        Jobs wait for a time of the wall clock: set back by ten days, it would delay them by ten
        days; set forward, the scheduler goes on sleeping until it is woken. And APScheduler drops a
        job that it cannot hand to a thread.
        """
        for job in self._scheduler.get_jobs():
            if job.next_run_time - self._clock() > LONGEST_PAUSE:
                with suppress(JobLookupError):  # the job was run meanwhile
                    self._scheduler.reschedule_job(job.id, trigger="date", run_date=self._clock())
        with self._planning:
            since = self._collected_since
            if since is not None and abs(self._clock() - since) > 2 * LONGEST_TOGETHER:
                self._add_finishing()
        for name, rotation in self._fleet.items():
            if not self._looking[name].locked():
                # The job may also wait for a thread: its look then replaces this one.
                self._plan_if_missing(rotation, LONGEST_PAUSE, 0)
        self._scheduler.wakeup()

    def stop(self) -> None:
        """Finish the looks in hand and start no other."""
        with self._planning:
            self._stopping = True
        self._health.hurry()
        self._scheduler.pause()
        self._scheduler.get_jobs()  # takes the lock under which jobs are handed to the threads
        self._scheduler.shutdown(wait=True)
        while self._collected_since is not None:
            self._finish_together()
        with TimeBudget(LOG_OUT).spending():
            for rotation in self._fleet.values():
                with suppress(RotatorError):
                    rotation.log_out()

    def _watch(self, fleet: Sequence[Rotation]) -> None:
        with self._planning:
            self._loads += 1
            self._fleet = {rotation.name: rotation for rotation in fleet}
            self.states.watch(self._fleet)
            self._shared = find_shared(fleet)
            self._scheduler.remove_all_jobs()
            if self._collected_since is not None:
                self._add_finishing()
            for rotation in fleet:
                rotation.expect_look()
                self._plan(rotation, self._clock(), 0)

    def _is_watched(self, rotation: Rotation) -> bool:
        return not self._stopping and self._fleet.get(rotation.name) is rotation

    def _plan(self, rotation: Rotation, moment: datetime, failures: int) -> bool:
        """Plan a look; return False for a token that is not watched any more."""
        with self._planning:
            if not self._is_watched(rotation):
                return False
            self._scheduler.add_job(
                self._look,
                "date",
                run_date=moment,
                args=(rotation, failures),
                id=self._job_id(rotation),
                replace_existing=True,
                misfire_grace_time=None,  # the default drops a job that is a second late
                coalesce=True,
            )
        return True

    def _plan_if_missing(self, rotation: Rotation, pause: timedelta, failures: int) -> None:
        with self._planning:
            # In this order: a scheduler that shuts down waits for the looks, and answers no call.
            if self._is_watched(rotation) and not self._scheduler.get_job(self._job_id(rotation)):
                self._plan(rotation, self._clock() + pause, failures)

    def _job_id(self, rotation: Rotation) -> str:
        # APScheduler drops a job while one of the same id runs, such as a look from before a
        # reload: so each load has its own ids.
        return f"{self._loads}/{rotation.name}"

    def _look(self, rotation: Rotation, failures: int) -> None:
        looking, is_left = self._looking[rotation.name], False
        if not looking.acquire(blocking=False):  # a look from before a reload is still in hand
            self._plan(rotation, self._clock() + BUSY_PAUSE, failures)
            return
        try:
            if self._is_watched(rotation):
                with self._health.look(rotation.name):
                    is_left = self._rotate(rotation, failures)
        except BaseException as error:  # noqa: BLE001 - a store's plugin may raise SystemExit
            _log.error("%s: %s", rotation.name, internal_error(error))
        finally:
            if not is_left:
                self._end_look(rotation, failures)

    def _end_look(self, rotation: Rotation, failures: int) -> None:
        self._plan_if_missing(rotation, backoff(failures + 1), failures + 1)
        self._looking[rotation.name].release()

    def _rotate(self, rotation: Rotation, failures: int) -> bool:
        """Rotate; return whether the look goes on, with others, in `_finish_together`."""
        started_at = self._clock()
        report, turn = self._rotate_in_turn(rotation)
        if not rotation.postponed:
            self._conclude(rotation, failures, started_at, report, turn)
            return False
        with self._planning:
            self._plan_to_finish()
            self._left[rotation.name] = (rotation, failures, started_at)
        return True

    def _plan_to_finish(self) -> None:
        """Plan to finish soon what looks at this time leave; a stop does it at once."""
        with self._planning:
            if self._collected_since is None:
                self._collected_since = self._clock()
                self._add_finishing()

    def _add_finishing(self) -> None:
        if not self._stopping:
            moment = self._clock() + TOGETHER
            self._scheduler.add_job(
                self._finish_together,
                "date",
                run_date=moment,
                executor=FINISHING,
                misfire_grace_time=None,
            )

    def _finish_together(self) -> None:
        """Do what looks have left, once for all, and tell what failed; wait for looks in hand."""
        with self._planning:
            since, now = self._collected_since, self._clock()
            if since is None:
                return
            names = (name for name, lock in [*self._looking.items()] if lock.locked())
            is_early = timedelta() <= now - since < LONGEST_TOGETHER and not self._stopping
            if is_early and any(name not in self._left for name in names):
                self._add_finishing()
                return
            left, self._left = self._left, {}
            failed, self._failed = self._failed, []
            self._collected_since = None
        if left:
            self._finish_all(left)
        notify_failures(failed)

    def _finish_all(self, left: Mapping[str, tuple[Rotation, int, datetime]]) -> None:
        reports: dict[str, Report] = {}
        try:
            with self._health.look(*left):
                if self._stopping:
                    self._health.hurry()
                reports = finish_together([rotation for rotation, _, _ in left.values()])
        except BaseException as error:  # noqa: BLE001 - the next looks find it in the journals
            _log.error("%s: %s", ", ".join(left), internal_error(error))
        for name, (rotation, failures, started_at) in left.items():
            try:
                if name in reports:
                    self._conclude(rotation, failures, started_at, reports[name], None)
            except Exception as error:  # noqa: BLE001 - the others go on
                _log.error("%s: %s", name, internal_error(error))
            self._end_look(rotation, failures)

    def _conclude(
        self,
        rotation: Rotation,
        failures: int,
        started_at: datetime,
        report: Report,
        turn: timedelta | None,
    ) -> None:
        """Tell what came of a look, and plan the next one."""
        report = with_severity(report, rotation.renew_before, HOURLY)
        failures = failures + 1 if report.error else 0
        level_before = self._notified.get(rotation.name)
        self._notified[rotation.name] = report.level
        is_news = report.level is not None and report.level != level_before  # or more urgent
        if is_news and rotation.hooks.recipients(NoticeEvent.FAILED):
            with self._planning:
                self._failed.append((rotation, report))
                self._plan_to_finish()
        now = self._clock()
        revocations = [
            old.due_at + SHORTEST_PAUSE
            for old in report.old_tokens
            if old.state in (OldTokenState.WAITING, OldTokenState.IN_USE) and old.due_at > now
        ]
        delay = next_delay(report, rotation.renew_before, failures, self._draw)
        turns = [] if turn is None else [now + turn + SHORTEST_PAUSE]
        moment = min((now + delay, *turns, *revocations))
        planned = self._plan(rotation, moment, failures)
        self.states.record(Look(report, started_at, now, moment if planned else None))
        outlook = f"next look at {rfc3339(moment)}" if planned else "no further look"
        if not report.level or report.action in CHANGED:
            _log.info("%s; %s", summarize(report), outlook)
        if report.level:
            level = logging.getLevelNamesMapping()[report.level.upper()]
            extra = token_field(report.name)
            _log.log(level, "%s: %s; %s", report.name, report.error, outlook, extra=extra)

    def _rotate_in_turn(self, rotation: Rotation) -> tuple[Report, timedelta | None]:
        """Rotate; return the time until its turn, too, where `at_most` has a due token wait."""
        wanted = RotateOptions(shared=self._shared)
        if not rotation.at_most:
            return run_guarded(rotation, lambda token: token.rotate(wanted)), None
        group, most = group_of(rotation), rotation.at_most.number
        report = run_guarded(rotation, lambda token: token.rotate(replace(wanted, hold_back=True)))
        if is_held_back(report):
            states = self.states.by_name()
            rivals = [
                each for each in self._fleet.values() if each.at_most and each is not rotation
            ]
            looks = [states.get(each.name) for each in rivals if group_of(each) == group]
            others = [look.last.report for look in looks if look]
            turn = DUE_SPREAD  # before all were looked at, nobody knows which are the most urgent
            if len(others) == len(looks):
                turn = self._turns.take(group, most, report, others, self._clock())
            if turn:
                return report, turn
            report = run_guarded(rotation, lambda token: token.rotate(wanted))
        elif report.action is not Action.ROTATED:
            return report, None
        self._turns.note(group, report, self._clock())
        return report, None


class Scheduler(BackgroundScheduler):  # type: ignore[misc] # APScheduler has no types
    """APScheduler in a thread of its own, which says whether that thread is alive.

    Now is what `datetime.now` in the `timezone` says.
    """

    def __init__(self, timezone: tzinfo = UTC) -> None:
        executors = {"default": ThreadPoolExecutor(WORKERS), FINISHING: ThreadPoolExecutor(1)}
        super().__init__(executors=executors, timezone=timezone)

    def is_alive(self) -> bool:
        return self._thread is not None and bool(self._thread.is_alive())

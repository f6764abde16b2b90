"""The real APScheduler, on a clock that stands still: time passes when a test says so."""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from apscheduler.executors.base import BaseExecutor, run_job
from apscheduler.schedulers.base import BaseScheduler

from rotator.clock import Clock
from rotator.daemon.scheduler import FINISHING
from tests.support.clock import FakeClock


class ClockZone(tzinfo):
    """UTC, except that `datetime.now` in it is what the clock says."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def fromutc(self, _moment: datetime) -> datetime:
        return self._clock()

    def utcoffset(self, _moment: datetime | None) -> timedelta:
        return timedelta()

    def dst(self, _moment: datetime | None) -> timedelta:
        return timedelta()

    def tzname(self, _moment: datetime | None) -> str:
        return "UTC"


class QueueExecutor(BaseExecutor):  # type: ignore[misc] # APScheduler has no types
    """Runs jobs after the scheduler has let go of them, as a thread would, but in this one."""

    def __init__(self) -> None:
        super().__init__()
        self._queue: list[Any] = []

    def _do_submit_job(self, job: Any, run_times: Any) -> None:  # noqa: ANN401 - APScheduler's own
        self._queue.append((job, run_times))

    def run(self) -> None:
        while self._queue:
            job, run_times = self._queue.pop(0)
            events = run_job(job, "default", run_times, self._logger.name)
            self._run_job_success(job.id, events)


class SteppedScheduler(BaseScheduler):  # type: ignore[misc] # APScheduler has no types
    """Runs what is due when `step` moves the clock, in the test's own thread."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._queue = QueueExecutor()
        super().__init__(
            timezone=ClockZone(clock), executors={"default": self._queue, FINISHING: self._queue}
        )

    def shutdown(self, wait: bool = True) -> None:  # noqa: FBT001, FBT002 - APScheduler's signature
        super().shutdown(wait)

    def wakeup(self) -> None:
        """Nobody sleeps."""

    def step(self, span: timedelta) -> None:
        """Let this much time pass, and run all that becomes due in it, each at its own moment."""
        end = self._clock() + span
        while (moment := self.next_run()) and moment <= end:
            self._clock.now = max(moment, self._clock())
            self._process_jobs()
            self._queue.run()
        self._clock.now = end

    def next_run(self) -> datetime | None:
        moments: list[Any] = [job.next_run_time for job in self.get_jobs()]
        return min((moment.astimezone(UTC) for moment in moments), default=None)

"""Retries: when to try again what failed, by the life that the token has left.

The daemon plans its next look so, and a run that may last waits so for an answer.
"""

import logging
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from random import SystemRandom
from typing import NamedTuple

from rotator.audit import token_field
from rotator.clock import Draw, in_words
from rotator.errors import retryable_kinds
from rotator.rotation.policy import Status
from rotator.rotation.report import Report
from rotator.rotation.rotation import Rotation

SHORTEST_PAUSE = timedelta(seconds=1)
FIRST_BACKOFF = timedelta(seconds=30)
LONGEST_BACKOFF = timedelta(hours=1)
_POLL = 0.2  # seconds, after which a signal to stop is noticed
_log = logging.getLogger(__name__)

Again = Callable[[Sequence[tuple[Rotation, Report]]], list[Report]]


def backoff(failures: int) -> timedelta:
    """Return the pause after so many failures in a row."""
    return min(FIRST_BACKOFF * (1 << min(failures - 1, 20)), LONGEST_BACKOFF)


def retry_delay(report: Report, failures: int, draw: Draw) -> timedelta:
    """Return the time until the next attempt; `failures` counts those in a row."""
    pause = backoff(failures)
    if report.seconds_left is not None and report.seconds_left > 0:
        # The remaining life has room for three attempts.
        pause = min(pause, timedelta(seconds=report.seconds_left) / 3)
    return max(SHORTEST_PAUSE, pause * draw(0.5, 1.0))


def is_worth_waiting(report: Report) -> bool:
    """Tell whether a failure may pass by itself, and not wait for the next run."""
    is_urgent = report.status not in (Status.OK, Status.ETERNAL)
    return report.error is not None and is_urgent and report.failure in retryable_kinds()


class Patience(NamedTuple):
    """How long a run tries again, and how it waits; `sleep` and `monotonic` are about seconds."""

    window: timedelta = timedelta()
    sleep: Callable[[float], object] = time.sleep
    monotonic: Callable[[], float] = time.monotonic
    draw: Draw = SystemRandom().uniform

    def retry(
        self,
        rotations: Sequence[Rotation],
        reports: Sequence[Report],
        again: Again,
        stopped: Callable[[], bool],
    ) -> list[Report]:
        """Try what is worth it until it works, or the window or the process is to end.

        `again` gets the rotations with their last reports, and returns the new ones.
        """
        latest = dict(zip(rotations, reports, strict=True))
        ends_at, failures = self.monotonic() + self.window.total_seconds(), 1
        while failed := [each for each in latest.items() if is_worth_waiting(each[1])]:
            pause = min(retry_delay(report, failures, self.draw) for _, report in failed)
            resumes_at = self.monotonic() + pause.total_seconds()
            if resumes_at > ends_at:
                break
            for _, report in failed:
                text = f"{report.name}: {report.error}; tried again in {in_words(pause)}"
                _log.info("%s", text, extra=token_field(report.name))
            while (left := resumes_at - self.monotonic()) > 0 and not stopped():
                self.sleep(min(left, _POLL))
            if stopped():
                break
            latest |= zip((rotation for rotation, _ in failed), again(failed), strict=True)
            failures += 1
        return [latest[rotation] for rotation in rotations]


NO_PATIENCE = Patience()

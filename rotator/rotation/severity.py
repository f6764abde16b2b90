"""Severity: how urgent a failure is, by the life of the token and the attempts that fit into it."""

from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

from rotator.clock import ONE_DAY, in_words, parse_duration
from rotator.rotation.policy import Status
from rotator.rotation.report import Report

FEW = 3  # attempts
_MINUTE = timedelta(minutes=1)  # to which people are told the life that is left


class Severity(StrEnum):
    """The level of the log line; `--json` shows it as `level`."""

    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class RetrySchedule(NamedTuple):
    """How often a rotation is tried: in words, and how often within a time."""

    text: str
    attempts: Callable[[timedelta], int]


# A run by hand or by cron does not know its schedule; the docs recommend four runs a day.
FOUR_A_DAY = RetrySchedule(
    "with four runs a day", lambda left: int((left + _MINUTE) / (ONE_DAY / 4))
)


def runs_every(text: str) -> RetrySchedule:
    """Return the schedule of a run every so often, such as `6h`; raises `ValueError`."""
    interval = parse_duration(text)
    return RetrySchedule(f"with a run every {text}", lambda left: int((left + _MINUTE) / interval))


def with_severity(report: Report, renew_before: timedelta, schedule: RetrySchedule) -> Report:
    """Return the report of a failure with its severity and the time that the token has left."""
    if report.error is None:
        return report
    is_endless = report.status is Status.DUE and report.seconds_left is None
    if report.status in (Status.OK, Status.ETERNAL) or is_endless:
        return report._replace(level=Severity.WARNING)
    left = timedelta(seconds=report.seconds_left or 0)
    if report.status is Status.UNKNOWN:
        level, text = Severity.ERROR, "it is not known how long the token still lives"
    elif report.reason == "deleted":
        level, text = Severity.CRITICAL, "the bot's token is gone as soon as the store is done"
    elif report.status is not Status.DUE or left <= timedelta():
        level, text = Severity.CRITICAL, "the bot has no working token"
    else:
        attempts = schedule.attempts(left)
        report = report._replace(attempts_left=attempts)
        level = Severity.ERROR if left < renew_before / 2 else Severity.WARNING
        if left < ONE_DAY or attempts < FEW:
            level = Severity.CRITICAL
        count = "1 attempt" if attempts == 1 else f"{attempts or 'no'} attempts"
        text = f"the token still lives {in_words(left)}: {count} left, {schedule.text}"
    return report._replace(level=level, error=f"{report.error}; {text}")

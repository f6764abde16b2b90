"""Severity: how urgent a failure is, by the life left and the attempts that fit into it."""

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

from rotator.clock import ONE_DAY, in_words
from rotator.errors import internal_error
from rotator.hooks.notify import Notice, NoticeKind
from rotator.rotation.model import CHANGED, Report
from rotator.rotation.policy import Status
from rotator.rotation.rotation import Rotation

_log = logging.getLogger(__name__)
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


def notify_failures(results: Sequence[tuple[Rotation, Report]]) -> None:
    """Send one notice to each group of people, however many of their tokens failed."""
    groups: defaultdict[tuple[str, ...], list[tuple[Rotation, Report]]] = defaultdict(list)
    for rotation, report in results:
        if report.error:
            groups[rotation.hooks.notice_ids].append((rotation, report))
    for group in groups.values():
        try:
            group[0][0].hooks.notify(_notice_of([report for _, report in group]))
        except Exception as error:  # noqa: BLE001 - a notice must not stop the run or the daemon
            _log.warning("no notice was sent: %s", internal_error(error))


def _notice_of(failed: Sequence[Report]) -> Notice:
    names = ", ".join(report.name for report in failed)
    is_renewed = all(report.action in CHANGED for report in failed)
    what = "token renewed, but not all is done" if is_renewed else "rotation failed"
    is_mild = all(report.level == Severity.WARNING for report in failed)
    lines = [f"{report.name} ({report.level}): {report.error}" for report in failed]
    kind = NoticeKind.WARNING if is_mild else NoticeKind.FAILURE
    return Notice(f"{names}: {what}", "\n".join(lines), kind)

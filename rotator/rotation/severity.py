"""How urgent a failure is, and who is told of it."""

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

from rotator.clock import in_words
from rotator.errors import internal_error
from rotator.hooks.notify import NoticeKind
from rotator.rotation.model import CHANGED, Report
from rotator.rotation.policy import Status
from rotator.rotation.rotation import Rotation

ONE_DAY = timedelta(days=1)
FEW = 3  # attempts
_MINUTE = timedelta(minutes=1)  # to which people are told the life that is left


class Severity(StrEnum):
    """As in the log; `--json` shows it as well."""

    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class RetrySchedule(NamedTuple):
    """How often it is tried: in words, and how often within a time."""

    text: str
    attempts: Callable[[timedelta], int]


# A run by hand or by cron does not know its rhythm; the docs recommend this one.
DAILY = RetrySchedule("with one run a day", lambda left: int((left + _MINUTE) / ONE_DAY))
_LIVING = (Status.OK, Status.ETERNAL)


def with_severity(report: Report, renew_before: timedelta, rhythm: RetrySchedule) -> Report:
    """Return the report of a failure with its level, and with how long the token still lives."""
    if report.error is None:
        return report
    if report.status in _LIVING:
        return report._replace(level=Severity.WARNING)
    left = timedelta(seconds=report.seconds_left or 0)
    if report.status is not Status.DUE or left <= timedelta():
        level, text = _without_life(report)
    else:
        attempts = rhythm.attempts(left)
        report = report._replace(attempts_left=attempts)
        level = _by_life(left, attempts, renew_before)
        text = f"the token still lives {in_words(left)}: {_counted(attempts)} left, {rhythm.text}"
    return report._replace(level=level, error=f"{report.error}; {text}")


def _without_life(report: Report) -> tuple[Severity, str]:
    if report.status is Status.UNKNOWN:
        return Severity.ERROR, "nobody can tell how long the token still lives"
    return Severity.CRITICAL, "the bot has no working token"


def _by_life(left: timedelta, attempts: int, renew_before: timedelta) -> Severity:
    if left < ONE_DAY or attempts < FEW:
        return Severity.CRITICAL
    return Severity.ERROR if left < renew_before / 2 else Severity.WARNING


def _counted(attempts: int) -> str:
    return "1 attempt" if attempts == 1 else f"{attempts or 'no'} attempts"


_log = logging.getLogger(__name__)


def notify_failures(results: Sequence[tuple[Rotation, Report]]) -> None:
    """Tell everybody who is to be told which of their tokens failed, and how urgent it is."""
    groups: defaultdict[tuple[str, ...], list[tuple[Rotation, Report]]] = defaultdict(list)
    for rotation, report in results:
        if report.error:
            groups[rotation.hooks.notice_ids].append((rotation, report))
    for group in groups.values():
        try:
            group[0][0].hooks.tell(*_notice([report for _, report in group]))
        except Exception as error:  # noqa: BLE001 - a notice must not cost the report, or the watch
            _log.warning("no notice was sent: %s", internal_error(error))


def _notice(failed: Sequence[Report]) -> tuple[str, str, NoticeKind]:
    names = ", ".join(report.name for report in failed)
    renewed = all(report.action in CHANGED for report in failed)
    what = "token renewed, but not all is done" if renewed else "rotation failed"
    kind = (
        NoticeKind.WARNING
        if all(report.level == "warning" for report in failed)
        else NoticeKind.FAILURE
    )
    lines = [f"{report.name} ({report.level}): {report.error}" for report in failed]
    return f"{names}: {what}", "\n".join(lines), kind

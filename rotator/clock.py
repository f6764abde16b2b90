"""Moments (aware UTC), spans, and how long work may wait.

The clock itself is passed in. Waits – for servers, name servers, locks and programs – have a limit
each, but many of them add up: so a piece of work may have one for all of them (`limit_wait`).
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]
Draw = Callable[[float, float], float]

DURATION = r"[1-9][0-9]{0,5}[dhms]"
MINUTE = 60
WRONG_CLOCK = timedelta(minutes=5)  # a difference that messages mention, and that counts
ONE_DAY = timedelta(days=1)
# Of the API's times: a proxy may date the answers, and its database dates the rows.
SLACK = timedelta(minutes=1)
_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


def utc_now() -> datetime:
    """Return the wall clock as aware UTC: the `Clock` of a real run."""
    return datetime.now(UTC)


def parse_duration(text: str) -> timedelta:
    """Read `7d`, `12h`, `90m` or `30s`; raises ValueError for anything else."""
    if not re.fullmatch(DURATION, text):
        raise ValueError("a duration above zero, such as 7d, 12h, 90m or 30s")
    return timedelta(**{_UNITS[text[-1]]: int(text[:-1])})


def in_words(span: timedelta) -> str:
    """Return a span as people say it, to the minute, cut to its largest unit: `83 days`."""
    seconds = int(abs(span).total_seconds())
    if seconds >= MINUTE:
        seconds = round(seconds / MINUTE) * MINUTE
    lengths = (("day", 86400), ("hour", 3600), ("minute", MINUTE), ("second", 1))
    unit, length = next((each for each in lengths if seconds >= each[1]), lengths[-1])
    count = seconds // length
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def in_days(seconds: float | None) -> float | None:
    """Return seconds as days, for JSON; what is not known stays None."""
    return None if seconds is None else round(seconds / 86400, 3)


def rfc3339(moment: datetime) -> str:
    """Return a moment as RFC 3339 in UTC, in whole seconds: `2026-11-23T09:12:33Z`."""
    return f"{moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat()}Z"


def rfc3339_or_none(moment: datetime | None) -> str | None:
    """Return the same of a moment that may be unknown, for JSON."""
    return rfc3339(moment) if moment else None


def minute(moment: datetime) -> str:
    """Return a moment for people to read: `2026-11-23 09:12 UTC`."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(' ', 'minutes')} UTC"


def describe_skew(skew: timedelta | None, least: timedelta = WRONG_CLOCK) -> str | None:
    """Say that this machine's clock is wrong; `skew` is how far it is ahead.

    None where that is not known, or less than `least`.
    """
    if skew is None or abs(skew) < least:
        return None
    side = "ahead of" if skew > timedelta() else "behind"
    return f"this machine's clock is {in_words(skew)} {side} the API's: set it right"


class TimeBudget:
    """The seconds that all waits of a piece of work have together; they may become fewer."""

    def __init__(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds

    def shorten(self, seconds: float) -> None:
        """Leave at most `seconds` from now on; waits in hand may take their time all the same."""
        self._ends_at = min(self._ends_at, time.monotonic() + seconds)

    @property
    def left(self) -> float:
        """The seconds that are left, not below zero."""
        return max(0.0, self._ends_at - time.monotonic())

    @contextmanager
    def spending(self) -> Iterator[None]:
        """Let the waits in this block obey it, those of threads with a copy of our context, too."""
        before = _budget.set(self)
        try:
            yield
        finally:
            _budget.reset(before)


_budget: ContextVar[TimeBudget | None] = ContextVar("budget", default=None)


@contextmanager
def within(limit: timedelta) -> Iterator[None]:
    """Let the waits in this block end in time, and in that of the budget around it."""
    with TimeBudget(limit_wait(limit.total_seconds())).spending():
        yield


def limit_wait(seconds: float) -> float:
    """Return how long the next wait may take: `seconds`, or what is left of the budget."""
    budget = _budget.get()
    return seconds if budget is None else min(seconds, budget.left)

"""When to look at a token again: pure arithmetic over its last report."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from rotator.rotation.model import OldState, Report
from rotator.rotation.severity import Rhythm

# A hand-changed store or a token refused by the server is noticed within this time.
LONGEST_PAUSE = timedelta(hours=1)
FIRST_RETRY = timedelta(seconds=30)
SHORTEST_PAUSE = timedelta(seconds=1)
SPREAD = timedelta(seconds=30)
BUSY_PAUSE = timedelta(seconds=5)

HOURLY = Rhythm("with at least one an hour", lambda left: max(3, int(left / LONGEST_PAUSE)))

Draw = Callable[[float, float], float]
"""Draws a number between two others, like `random.uniform`: the jitter, passed in."""


def pause(report: Report, renew_before: timedelta, failures: int, draw: Draw) -> timedelta:
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


def revocations(report: Report, now: datetime) -> Iterator[datetime]:
    """Return the moments after `now` at which an old token is to be revoked."""
    for old in report.old_tokens:
        if old.state is OldState.WAITING and old.due_at > now:
            yield old.due_at + SHORTEST_PAUSE


def _retry(report: Report, failures: int) -> timedelta:
    grown = min(FIRST_RETRY * (1 << min(failures - 1, 20)), LONGEST_PAUSE)
    left = report.seconds_left
    if left is None or left <= 0:
        return grown
    # Three tries fit into whatever is left: a pause never outlasts the token.
    return min(grown, timedelta(seconds=left) / 3)

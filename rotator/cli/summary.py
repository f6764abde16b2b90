"""Many results in one line: how many there are of each, the worst first."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from rotator.cli import exit_codes
from rotator.clock import in_words
from rotator.errors import join_names, one_line
from rotator.rotation.model import Action
from rotator.rotation.policy import Status
from rotator.rotation.report import Report

_MOST_NAMES = 40
# The states of monitoring plugins: https://www.monitoring-plugins.org/doc/guidelines.html.
_STATES = {
    exit_codes.OK: "OK",
    exit_codes.DUE: "WARNING",
    exit_codes.CRITICAL: "CRITICAL",
    exit_codes.UNKNOWN: "UNKNOWN",
}
_FAILING = "failing"  # the token itself works, and something about it fails
_WORKING = (Status.OK, Status.ETERNAL, Status.DUE)
_WORDS = (
    *(Status.REFUSED, Status.EXPIRED, Status.MISSING, Status.INVALID),
    *(Status.UNKNOWN, _FAILING, Status.DUE, Status.ETERNAL, Status.OK),
)
_UNNAMED = (Action.SKIPPED, Action.KEPT)
_ACTIONS = (
    *(Action.FAILED, Action.ROTATED, Action.CONVERGED),
    *(Action.WOULD_ROTATE, Action.WOULD_CONVERGE, *_UNNAMED),
)


def sort_by_urgency(reports: Sequence[Report]) -> list[Report]:
    """Return the worst first, then what was changed, and of equals the one that ends first.

    Those that end within a minute, as tokens that were made together do, stay in their order.
    """
    return sorted(reports, key=_urgency)


def _urgency(report: Report) -> tuple[bool, int, bool, float]:
    state = exit_codes.WORST_FIRST.index(exit_codes.check_exit_code([report]))
    end = report.expires_at
    minute = end.timestamp() // 60 if end else float("inf")
    return not report.has_failed, state, not report.has_changes, minute


def is_fine(report: Report) -> bool:
    """Tell whether nobody needs to look at this token, and no run has to do anything for it."""
    return exit_codes.check_exit_code([report]) == exit_codes.OK


def summarize_check(reports: Sequence[Report]) -> str:
    """Return a line for people: the state, the counts, and what is wrong with the worst token."""
    counts = _count(reports)
    told = ", ".join(f"{counts[word]} {word}" for word in _WORDS if counts[word])
    worst = min(reports, key=_urgency)
    state = _STATES[exit_codes.check_exit_code(reports)]
    if not is_fine(worst):
        about = f"{worst.name}: {worst.error or worst.message}"
    elif worst.seconds_left is None:
        about = "none of them expires"
    else:
        left = in_words(timedelta(seconds=worst.seconds_left))
        about = f"{worst.name} is the next to expire, in {left}"
    return one_line(f"TOKENS {state}: {told}; {about}")


def summarize_for_monitoring(reports: Sequence[Report], margins: Mapping[str, timedelta]) -> str:
    """Return the same line with performance data behind it, which graphs are made of.

    They are the counts, and the shortest remaining life in seconds; the warning begins below the
    margin of that token, from `margins` by name.
    https://www.monitoring-plugins.org/doc/guidelines.html#AEN201
    """
    counts = _count(reports)
    numbers = [f"{word}={counts[word]};;;0" for word in _WORDS]
    ending = [report for report in reports if report.seconds_left is not None]
    first = min(ending, key=lambda report: report.seconds_left or 0.0, default=None)
    if first:
        margin = int(margins[first.name].total_seconds())
        numbers.append(f"left={int(first.seconds_left or 0)}s;{margin}:;0:")
    text = summarize_check(reports).replace("|", "/")  # which ends the text
    return f"{text} | {' '.join(numbers)}"


def summarize_run(reports: Sequence[Report]) -> str:
    """Return a line that names what was changed and what failed, and counts the rest."""
    return one_line("; ".join(_tell_groups(reports)))


def _tell_groups(reports: Sequence[Report]) -> Iterator[str]:
    for action in _ACTIONS:
        names = [report.name for report in reports if report.action is action]
        if names:
            told = f"{len(names)} {action}"
            yield told if action in _UNNAMED else f"{told}: {join_names(names, _MOST_NAMES)}"
        if action is Action.FAILED:
            others = [each.name for each in reports if each.error and each.action is not action]
            if others:
                yield f"{len(others)} not all done: {join_names(others, _MOST_NAMES)}"


def _count(reports: Sequence[Report]) -> Counter[str]:
    return Counter(
        _FAILING if each.error and each.status in _WORKING else each.status for each in reports
    )

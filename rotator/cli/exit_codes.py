"""Reports to exit statuses."""

from collections.abc import Iterable

from rotator.rotation.model import Action, OldState, Report
from rotator.rotation.policy import Status

FINE = 0

# `check`, as a monitoring plugin.
DUE = 1
CRITICAL = 2
CANNOT_TELL = 3
_WORST_FIRST = (CRITICAL, CANNOT_TELL, DUE, FINE)
_CHECKED = {
    Status.OK: FINE,
    Status.ETERNAL: FINE,
    Status.DUE: DUE,
    Status.UNKNOWN: CANNOT_TELL,
}

# `rotate` and `mint`.
FAILED = 1
USAGE = 2
ROTATED = 3
_CHANGED = (Action.ROTATED, Action.CONVERGED, Action.WOULD_ROTATE, Action.WOULD_CONVERGE)


def of_check(reports: Iterable[Report]) -> int:
    """Return the worst of the tokens: 2, then 3, then 1, then 0."""
    found = {_CHECKED.get(report.status, CRITICAL) for report in reports}
    found |= {CANNOT_TELL for report in reports if report.error}
    return next(status for status in _WORST_FIRST if status in {*found, FINE})


def of_rotate(reports: Iterable[Report], *, detailed: bool) -> int:
    """Return 1 when something failed, else 0, or 3 if `detailed` and something was changed."""
    if any(_failed(report) for report in reports):
        return FAILED
    if detailed and any(_changed(report) for report in reports):
        return ROTATED
    return FINE


def _changed(report: Report) -> bool:
    revoked = any(old.state is OldState.REVOKED for old in report.old_tokens)
    return report.action in _CHANGED or bool(report.notes) or revoked


def _failed(report: Report) -> bool:
    return bool(report.error) or report.action is Action.FAILED

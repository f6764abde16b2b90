"""Reports to exit codes."""

from collections.abc import Iterable

from rotator.rotation.model import LAGGARD, Action, OldTokenState, Report
from rotator.rotation.policy import Status

OK = 0

# `check`, as a monitoring plugin.
DUE = 1
CRITICAL = 2
UNKNOWN = 3
_WORST_FIRST = (CRITICAL, UNKNOWN, DUE, OK)
_CHECKED = {Status.OK: OK, Status.ETERNAL: OK, Status.DUE: DUE, Status.UNKNOWN: UNKNOWN}

# `rotate` and `mint`.
FAILED = 1
USAGE = 2
ROTATED = 3
_CHANGED = (Action.ROTATED, Action.CONVERGED, Action.WOULD_ROTATE, Action.WOULD_CONVERGE)


def check_exit_code(reports: Iterable[Report]) -> int:
    """Return the worst of the tokens: 2, then 3, then 1, then 0."""
    found = {OK}
    for report in reports:
        failed = DUE if report.failure == LAGGARD else UNKNOWN
        found |= {_CHECKED.get(report.status, CRITICAL), failed if report.error else OK}
    return next(code for code in _WORST_FIRST if code in found)


def rotate_exit_code(reports: Iterable[Report], *, detailed: bool) -> int:
    """Return 1 when something failed, else 0, or 3 if `detailed` and something was changed."""
    code = OK
    for report in reports:
        if report.error or report.action is Action.FAILED:
            return FAILED
        has_revoked = any(old.state is OldTokenState.REVOKED for old in report.old_tokens)
        if detailed and (report.action in _CHANGED or report.remarks or has_revoked):
            code = ROTATED
    return code

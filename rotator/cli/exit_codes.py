"""Reports to exit codes."""

from collections.abc import Iterable

from rotator.rotation.policy import Status
from rotator.rotation.report import LAGGARD, MIRROR_BEHIND, Report

OK = 0

# `check`, as a monitoring plugin.
DUE = 1
CRITICAL = 2
UNKNOWN = 3
WORST_FIRST = (CRITICAL, UNKNOWN, DUE, OK)
_CHECKED = {Status.OK: OK, Status.ETERNAL: OK, Status.DUE: DUE, Status.UNKNOWN: UNKNOWN}

# `rotate` and `mint`.
FAILED = 1
USAGE = 2
ROTATED = 3

# `leaked`: all is done, but something that may come of the leak still works.
TO_DECIDE = 3


def check_exit_code(reports: Iterable[Report]) -> int:
    """Return the worst of the tokens: 2, then 3, then 1, then 0."""
    found = {OK}
    for report in reports:
        failed = DUE if report.failure in (LAGGARD, MIRROR_BEHIND) else UNKNOWN
        found |= {_CHECKED.get(report.status, CRITICAL), failed if report.error else OK}
    return next(code for code in WORST_FIRST if code in found)

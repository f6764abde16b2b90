"""Notices of failures: one for each group of people, however many tokens failed."""

import logging
from collections import defaultdict
from collections.abc import Sequence

from rotator.errors import internal_error
from rotator.hooks.notify import Kind
from rotator.rotation.model import CHANGED, Report
from rotator.rotation.rotation import Rotation

_log = logging.getLogger(__name__)


def tell_failures(results: Sequence[tuple[Rotation, Report]]) -> None:
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


def _notice(failed: Sequence[Report]) -> tuple[str, str, Kind]:
    names = ", ".join(report.name for report in failed)
    renewed = all(report.action in CHANGED for report in failed)
    what = "token renewed, but not all is done" if renewed else "rotation failed"
    kind = Kind.WARNING if all(report.level == "warning" for report in failed) else Kind.FAILURE
    lines = [f"{report.name} ({report.level}): {report.error}" for report in failed]
    return f"{names}: {what}", "\n".join(lines), kind

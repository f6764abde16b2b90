"""Notices of failures: one for each group of people, however many tokens failed."""

from collections import defaultdict
from collections.abc import Sequence

from rotator.report import Report
from rotator.rotation import Rotation


def tell_failures(results: Sequence[tuple[Rotation, Report]]) -> None:
    """Tell everybody who is to be told which of their tokens failed, and how urgent it is."""
    groups: defaultdict[tuple[str, ...], list[tuple[Rotation, Report]]] = defaultdict(list)
    for rotation, report in results:
        if report.error:
            groups[rotation.hooks.notice_ids].append((rotation, report))
    for group in groups.values():
        rotation = group[0][0]
        rotation.hooks.tell(*_notice([report for _, report in group]))


def _notice(failed: Sequence[Report]) -> tuple[str, str]:
    names = ", ".join(report.name for report in failed)
    lines = [f"{report.name} ({report.level}): {report.error}" for report in failed]
    return f"{names}: rotation failed", "\n".join(lines)

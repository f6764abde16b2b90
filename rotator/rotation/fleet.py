"""Many tokens in one run: side by side, in a stable order, none able to stop the others."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from rotator.clock import rfc3339_or_none
from rotator.config.settings import NoticeEvent
from rotator.errors import RotatorError, internal_error, join_names
from rotator.rotation.model import CHANGED, Action
from rotator.rotation.policy import CAN_WAIT, Status
from rotator.rotation.report import Report, describe_others, group_by_cause
from rotator.rotation.rotation import Rotation
from rotator.rotation.severity import Severity
from rotator.rotation.threads import map_in_threads

if TYPE_CHECKING:
    from rotator.hooks.hooks import HookFailure
    from rotator.hooks.notify import Notice

Act = Callable[[Rotation], Report]
RenewalGroup = tuple[str | None, str | None]
# What is renewed in any case.
_USELESS = (Status.EXPIRED, Status.MISSING, Status.INVALID, Status.REFUSED)
_URGENT = ("last_day", "put_back")
_log = logging.getLogger(__name__)


def run_fleet(
    rotations: Sequence[Rotation],
    act: Act,
    *,
    stopped: Callable[[], bool] = lambda: False,
    advance: Callable[[], None] = lambda: None,
) -> list[Report]:
    """Apply `act` to every token; return the reports in the order of the tokens.

    No further token is begun once `stopped` returns True; `advance` is called after each.
    """

    def one(rotation: Rotation) -> Report:
        if stopped():
            error = "stopped by a signal before its turn; run again"
            report = report_failure(rotation, "stopped", error)
        else:
            report = run_guarded(rotation, act)
        advance()
        return report

    for rotation in rotations:
        rotation.expect_look()
    workers = max((rotation.workers for rotation in rotations), default=1)
    return map_in_threads(one, rotations, workers)


def find_shared(rotations: Iterable[Rotation]) -> frozenset[str]:
    """Return the workloads and the URLs of notices that several of these tokens have."""
    places = Counter(place for rotation in rotations for place in rotation.places)
    return frozenset(place for place, number in places.items() if number > 1)


def finish_together(rotations: Sequence[Rotation]) -> dict[str, Report]:
    """Do once for all what these tokens left, then take their last steps; return their reports.

    Each workload is restarted once, and each URL gets one notice.
    """
    left = [(rotation, rotation.postponed) for rotation in rotations]
    waiting = [(rotation, task) for rotation, task in left if task]
    if not waiting:
        return {}
    from rotator.hooks.hooks import run_together  # noqa: PLC0415 - it was loaded to leave them

    try:
        failures = run_together(
            [task for _, task in waiting], lambda jobs: map_in_threads(lambda job: job(), jobs)
        )
    except Exception as error:  # noqa: BLE001 - what was rotated is told, and the journals know it
        why = str(error) if isinstance(error, RotatorError) else internal_error(error)
        return {each.name: report_failure(each, "unfinished", why) for each, _ in waiting}
    ends = [(rotation, each) for (rotation, _), each in zip(waiting, failures, strict=True)]
    finished = map_in_threads(lambda end: _finish_guarded(*end), ends, waiting[0][0].workers)
    return {report.name: report for report in finished if report}


def _finish_guarded(rotation: Rotation, failures: Sequence[HookFailure]) -> Report | None:
    try:
        return rotation.finish(failures)
    except Exception as error:  # noqa: BLE001 - no bug may stop the other tokens
        return report_failure(rotation, "internal", internal_error(error))


def choose_to_wait(looks: Iterable[tuple[Rotation, Report]]) -> frozenset[str]:
    """Return the names of the due tokens that `at_most` leaves for a later run.

    The most urgent ones are renewed; one that cannot wait is, in any case, and counts as well. In a
    group with several numbers the smallest is meant.
    """
    groups: defaultdict[RenewalGroup, list[tuple[Rotation, Report]]] = defaultdict(list)
    for rotation, report in looks:
        if rotation.at_most:
            groups[group_of(rotation)].append((rotation, report))
    waiting: list[str] = []
    for group in groups.values():
        urgent = sum(report.status in _USELESS or report.reason in _URGENT for _, report in group)
        ready = [report for _, report in group if report.reason in CAN_WAIT]
        ready.sort(key=_left)
        most = min(rotation.at_most.number for rotation, _ in group if rotation.at_most)
        waiting += (report.name for report in ready[max(0, most - urgent) :])
    return frozenset(waiting)


def _left(report: Report) -> float:
    return float("inf") if report.seconds_left is None else report.seconds_left


def group_of(rotation: Rotation) -> RenewalGroup:
    """Return the name of the label by which `at_most` counts, and its value."""
    label = rotation.at_most.label if rotation.at_most else None
    return label, rotation.labels.get(label) if label else None


def run_guarded(rotation: Rotation, act: Act) -> Report:
    """Apply `act`; a bug in it becomes a failed report, so that the other tokens go on."""
    try:
        return act(rotation)
    except Exception as error:  # noqa: BLE001 - no bug may stop the other tokens
        return report_failure(rotation, "internal", internal_error(error))


def report_failure(
    rotation: Rotation, reason: str, error: str, failure: str | None = None
) -> Report:
    """Return the report on a token of which nothing came to be known; `failure` is its kind."""
    return Report(
        name=rotation.name,
        status=Status.UNKNOWN,
        reason=reason,
        message=error,
        action=Action.FAILED,
        error=error,
        failure=failure or reason,
        api=rotation.api,
    )


def notify_failures(results: Sequence[tuple[Rotation, Report]]) -> None:
    """Send one notice to each group of people, however many of their tokens failed."""
    groups: defaultdict[tuple[str, ...], list[tuple[Rotation, Report]]] = defaultdict(list)
    for rotation, report in results:
        if report.error and (people := rotation.hooks.recipients(NoticeEvent.FAILED)):
            groups[people].append((rotation, report))
    for group in groups.values():
        try:
            group[0][0].hooks.notify(_notice_of([report for _, report in group]))
        except Exception as error:  # noqa: BLE001 - a notice must not stop the run or the daemon
            _log.warning("no notice was sent: %s", internal_error(error))


def _notice_of(failed: Sequence[Report]) -> Notice:
    # Imported here: `rotator check` starts faster without it.
    from rotator.hooks.notify import Notice, NoticedToken, NoticeKind  # noqa: PLC0415

    names = join_names([report.name for report in failed])
    is_renewed = all(report.action in CHANGED for report in failed)
    what = "token renewed, but not all is done" if is_renewed else "rotation failed"
    is_mild = all(report.level == Severity.WARNING for report in failed)
    lines = []
    for group in group_by_cause(failed):
        others = describe_others(group)
        told = group[:1] if others else group
        lines += [f"{report.name} ({report.level}): {report.error}" for report in told]
        lines += [others] if others else []
    kind = NoticeKind.WARNING if is_mild else NoticeKind.FAILURE
    tokens = tuple(
        NoticedToken(
            report.name,
            report.token_id,
            rfc3339_or_none(report.expires_at),
            tuple(each.store for each in report.stores),
            level=report.level,
            failure=report.failure,
            error=report.error,
        )
        for report in failed
    )
    title, body = f"{names}: {what}", "\n".join(lines)
    return Notice(title, body, kind, NoticeEvent.FAILED, tokens)

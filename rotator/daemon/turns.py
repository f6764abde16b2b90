"""Turns: which of the due tokens are renewed now, where `at_most` permits so many in an hour."""

from collections import defaultdict
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from threading import Lock

from rotator.rotation.fleet import RenewalGroup
from rotator.rotation.model import Action
from rotator.rotation.policy import CAN_WAIT
from rotator.rotation.report import Report

_HOUR = timedelta(hours=1)
_NEVER = datetime.max.replace(tzinfo=UTC)


class Turns:
    """The renewals of the last hour, by group and token; shared by all threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._renewals: defaultdict[RenewalGroup, dict[str, datetime]] = defaultdict(dict)

    def take(
        self,
        group: RenewalGroup,
        most: int,
        report: Report,
        others: Collection[Report],
        now: datetime,
    ) -> timedelta:
        """Return how long a due token has to wait; nothing where it has its turn, which is noted.

        Of the `others` of its group, those come first that are held back, too, and end sooner.
        """
        with self._lock:
            renewals = self._recent(group, now)
            ahead = sum(
                is_held_back(each)
                and _urgency(each) < _urgency(report)
                and each.name not in renewals  # it has its turn, and has not reported yet
                for each in others
            )
            # So many of these renewals must be an hour old before.
            number = ahead + 1 + len(renewals) - most
            if number > len(renewals):
                return _HOUR
            if number > 0:
                return sorted(renewals.values())[number - 1] + _HOUR - now
            renewals[report.name] = now
        return timedelta()

    def note(self, group: RenewalGroup, report: Report, now: datetime) -> None:
        """Note a renewal, also one that could not wait; or give back a turn without one."""
        with self._lock:
            renewals = self._recent(group, now)
            if report.action is Action.ROTATED:
                renewals[report.name] = now
            else:
                renewals.pop(report.name, None)

    def _recent(self, group: RenewalGroup, now: datetime) -> dict[str, datetime]:
        known = self._renewals[group]
        recent = {name: at for name, at in known.items() if timedelta() <= now - at < _HOUR}
        self._renewals[group] = recent
        return recent


def is_held_back(report: Report) -> bool:
    """Tell whether a token is due, and waits; one that failed keeps no other waiting."""
    return report.action is Action.SKIPPED and report.reason in CAN_WAIT and not report.error


def _urgency(report: Report) -> tuple[datetime, str]:
    return report.expires_at or _NEVER, report.name

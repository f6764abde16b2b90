"""The latest state of every watched token: the data behind the status page and the metrics."""

import threading
from collections import Counter
from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

from rotator.clock import rfc3339
from rotator.rotation.model import CHANGED, Action
from rotator.rotation.policy import Status
from rotator.rotation.report import Report

_LONGEST_HISTORY = 20


class Look(NamedTuple):
    """One look at a token: its report, its start and end, and when the next look is planned.

    Times are aware UTC; `next_at` is None where no further look is planned.
    """

    report: Report
    started_at: datetime
    ended_at: datetime
    next_at: datetime | None = None


class HistoryEntry(NamedTuple):
    """A look that changed something or failed, in short; it ended at `at`, in aware UTC."""

    at: datetime
    action: Action | None
    reason: str
    message: str
    failure: str | None
    level: str | None
    error: str | None

    @classmethod
    def of(cls, look: Look, before: "HistoryEntry | None") -> "HistoryEntry":
        """Return the entry of a look, which shares what is the same with the one before.

        In a long outage all tokens fail again and again, for the same reason.
        """
        report, error = look.report, look.report.error
        if before and before.error == error:
            error = before.error
        return cls(
            at=look.ended_at,
            action=report.action,
            reason=report.reason,
            message=report.message,
            failure=report.failure,
            level=report.level,
            error=error,
        )

    def to_json(self) -> dict[str, Any]:
        """Return its object, with stable keys (docs/daemon.md)."""
        return {**self._asdict(), "at": rfc3339(self.at)}


class TokenState(NamedTuple):
    """What is known about one token.

    `last_readable` is the report of the last look that could read a store: the expiry in it still
    holds while all stores are unreachable. `succeeded_at` is the end of the last look without a
    failure, `rotated_at` of the last one that wrote a token. `history` holds the looks that changed
    something or failed, newest first. `rotations` are counted by reason, `failures` by kind.
    """

    last: Look
    last_readable: Report | None
    succeeded_at: datetime | None
    rotated_at: datetime | None
    history: tuple[HistoryEntry, ...]
    rotations: Counter[str]
    failures: Counter[str]


class TokenStates:
    """The state of every watched token, in the order of the config; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._states: dict[str, TokenState | None] = {}

    def watch(self, names: Collection[str]) -> None:
        """Watch exactly these tokens; those already watched keep their state."""
        with self._lock:
            self._states = {name: self._states.get(name) for name in names}

    def record(self, look: Look) -> None:
        """Add a look; one at a token that is no longer watched is dropped."""
        with self._lock:
            name = look.report.name
            if name in self._states:
                self._states[name] = _add_look(self._states[name], look)

    def by_name(self) -> dict[str, TokenState | None]:
        """Return the state of every watched token by name, None before its first look."""
        with self._lock:
            return dict(self._states)


def _add_look(before: TokenState | None, look: Look) -> TokenState:
    state = before or TokenState(look, None, None, None, (), Counter(), Counter())
    report = look.report
    changed, failed = report.action in CHANGED, report.error is not None
    history = state.history
    if changed or failed:
        history = (HistoryEntry.of(look, next(iter(history), None)), *history)[:_LONGEST_HISTORY]
    return TokenState(
        last=look,
        last_readable=state.last_readable if report.status is Status.UNKNOWN else report,
        succeeded_at=state.succeeded_at if failed else look.ended_at,
        rotated_at=look.ended_at if changed else state.rotated_at,
        history=history,
        rotations=state.rotations + Counter({report.reason: 1} if changed else {}),
        failures=state.failures + Counter({report.failure or "unknown": 1} if failed else {}),
    )

"""What is known of every token: the data behind the daemon's page and the metrics."""

import threading
from collections import Counter
from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from rotator.rotation.model import CHANGED, Report
from rotator.rotation.policy import Status

_MOST_EVENTS = 20


class Look(NamedTuple):
    """One look at a token: its report, when it began and ended, and when the next one is due.

    Times are aware UTC; `next_at` is None where nobody plans another look.
    """

    report: Report
    begun_at: datetime
    ended_at: datetime
    next_at: datetime | None = None


class TokenState(NamedTuple):
    """What is known of one token; `history` has the looks that changed or failed, newest first.

    `seen` is the last report of a look that could read the token in some store: what it says of the
    token's end still stands while no store answers.
    `succeeded_at` is the end of the last look without a failure, `rotated_at` that of the last one
    that wrote a token; `rotations` and `failures` count by reason, and by kind of failure.
    """

    last: Look
    seen: Report | None
    succeeded_at: datetime | None
    rotated_at: datetime | None
    history: tuple[Look, ...]
    rotations: Counter[str]
    failures: Counter[str]


class TokenStates:
    """One card a token, in the order of the config; written and read by many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names: tuple[str, ...] = ()
        self._cards: dict[str, TokenState] = {}

    def watch(self, names: Collection[str]) -> None:
        """Show these tokens from now on; those that are known keep their history."""
        with self._lock:
            self._names = tuple(names)
            self._cards = {name: card for name, card in self._cards.items() if name in names}

    def post(self, look: Look) -> None:
        """Take down one look; one at a token that is watched no more is forgotten."""
        with self._lock:
            name = look.report.name
            if name in self._names:
                self._cards[name] = _after(self._cards.get(name), look)

    def cards(self) -> dict[str, TokenState | None]:
        """Return every watched token by name, None where it was not looked at yet."""
        with self._lock:
            return {name: self._cards.get(name) for name in self._names}


def _after(card: TokenState | None, look: Look) -> TokenState:
    old = card or TokenState(look, None, None, None, (), Counter(), Counter())
    report = look.report
    changed, failed = report.action in CHANGED, report.error is not None
    return TokenState(
        last=look,
        seen=old.seen if report.status is Status.UNKNOWN else report,
        succeeded_at=old.succeeded_at if failed else look.ended_at,
        rotated_at=look.ended_at if changed else old.rotated_at,
        history=(look, *old.history)[:_MOST_EVENTS] if changed or failed else old.history,
        rotations=old.rotations + Counter({report.reason: 1} if changed else {}),
        failures=old.failures + Counter({report.failure or "unknown": 1} if failed else {}),
    )

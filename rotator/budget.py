"""The time that a piece of work may wait in all: for servers, name servers, locks and programs.

Each wait has a limit of its own, but many of them add up. Nothing is imported here, since every
store needs it.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class TimeBudget:
    """The seconds that all waits of a piece of work have together; they may become fewer."""

    def __init__(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds

    def shorten(self, seconds: float) -> None:
        """Leave at most `seconds` from now on; waits in hand may take their time all the same."""
        self._ends_at = min(self._ends_at, time.monotonic() + seconds)

    @property
    def left(self) -> float:
        """The seconds that are left, not below zero."""
        return max(0.0, self._ends_at - time.monotonic())

    @contextmanager
    def spending(self) -> Iterator[None]:
        """Let the waits in this block obey it, those of threads with a copy of our context, too."""
        before = _budget.set(self)
        try:
            yield
        finally:
            _budget.reset(before)


_budget: ContextVar[TimeBudget | None] = ContextVar("budget", default=None)


def limit_wait(seconds: float) -> float:
    """Return how long the next wait may take: `seconds`, or what is left of the budget."""
    budget = _budget.get()
    return seconds if budget is None else min(seconds, budget.left)

"""What the rotations of this very process are about, which no store can tell yet."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple


class InFlight(NamedTuple):
    """Runs that take care of their tokens, and these tokens (None for one that is yet to come)."""

    runs: frozenset[str]
    token_ids: frozenset[str | None]


class InFlightMints:
    """Knows the runs of this process and their tokens; shared by all threads.

    Mints run side by side. `reconciling` waits for those in flight and lets no other begin, so
    that a token on its way is never taken for an orphan.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._in_flight = 0
        self._judging = False
        self._minded: dict[str, str | None] = {}
        self._ended: set[str] = set()
        self._made: set[str] = set()

    @contextmanager
    def tracking(self, run: str) -> Iterator[None]:
        """Enclose the whole of a run that makes a token, and takes care of it."""
        self._minded[run] = None
        try:
            yield
        finally:
            self.end(run)

    @contextmanager
    def minting(self) -> Iterator[None]:
        """Enclose a mint, from before its request until its answer is noted or lost."""
        with self._changed:
            self._changed.wait_for(lambda: not self._judging)
            self._in_flight += 1
        try:
            yield
        finally:
            with self._changed:
                self._in_flight -= 1
                self._changed.notify_all()

    @contextmanager
    def reconciling(self) -> Iterator[None]:
        """Enclose a judgement of which tokens are left over; one at a time, with none in flight."""
        with self._changed:
            self._changed.wait_for(lambda: not self._judging)
            self._judging = True
            self._changed.wait_for(lambda: self._in_flight == 0)
        try:
            yield
        finally:
            with self._changed:
                self._judging = False
                self._changed.notify_all()

    def got(self, run: str, token_id: str) -> bool:
        """Note which token the mint of a run made; False when another one got the same."""
        with self._changed:
            if token_id in self._made:
                return False
            self._made.add(token_id)
            self._minded[run] = token_id
            return True

    def end(self, run: str) -> None:
        """Note that nobody minds the token of a run any more: it is stored, revoked, or lost."""
        self._minded.pop(run, None)
        self._ended.add(run)

    def current_runs(self) -> InFlight:
        """Return the runs of this process that are not over, and their tokens."""
        copy = self._minded.copy()
        return InFlight(frozenset(copy), frozenset(copy.values()))

    def has_ended(self, run: str) -> bool:
        """Tell whether a run was one of this process, and is over."""
        return run in self._ended

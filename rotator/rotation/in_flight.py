"""In-flight mints: what the rotations of this process do that no store shows yet."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class InFlightMints:
    """The mints of this process and their tokens; shared by all threads.

    Mints go on side by side. `reconciling` waits for those in flight and lets no other begin, so
    that a token on its way is never taken for an orphan.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._count = 0
        self._is_reconciling = False
        self._in_flight: dict[str, str | None] = {}
        self._ended: set[str] = set()
        self._minted: set[str] = set()

    @contextmanager
    def tracking(self, mint_id: str) -> Iterator[None]:
        """Enclose a mint from before its intent until its token is stored, revoked or lost."""
        self._in_flight[mint_id] = None
        try:
            yield
        finally:
            self.end(mint_id)

    @contextmanager
    def minting(self) -> Iterator[None]:
        """Enclose the call, from before the intent until the answer is registered or lost."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_reconciling)
            self._count += 1
        try:
            yield
        finally:
            with self._changed:
                self._count -= 1
                self._changed.notify_all()

    @contextmanager
    def reconciling(self) -> Iterator[None]:
        """Enclose a search for orphans: one at a time, with no mint in flight."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_reconciling)
            self._is_reconciling = True
            self._changed.wait_for(lambda: self._count == 0)
        try:
            yield
        finally:
            with self._changed:
                self._is_reconciling = False
                self._changed.notify_all()

    def register(self, mint_id: str, token_id: str) -> bool:
        """Keep which token a mint made; return False when another mint got the same."""
        with self._changed:
            if token_id in self._minted:
                return False
            self._minted.add(token_id)
            self._in_flight[mint_id] = token_id
            return True

    def end(self, mint_id: str) -> None:
        """Take a mint for over: its token is stored, revoked, or lost."""
        self._in_flight.pop(mint_id, None)
        self._ended.add(mint_id)

    def current(self) -> dict[str, str | None]:
        """Return the ids of the mints that are not over, each with its token's id once known."""
        return self._in_flight.copy()

    def has_ended(self, mint_id: str) -> bool:
        """Tell whether a mint was one of this process, and is over."""
        return mint_id in self._ended

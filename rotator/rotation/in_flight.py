"""In-flight mints: what the rotations of this process do that no store shows yet."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class InFlightMints:
    """The runs of this process and their tokens; shared by all threads.

    Mints run side by side. `reconciling` waits for those in flight and lets no other begin, so that
    a token on its way is never taken for an orphan.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._count = 0
        self._is_reconciling = False
        self._runs: dict[str, str | None] = {}
        self._ended: set[str] = set()
        self._minted: set[str] = set()

    @contextmanager
    def tracking(self, run: str) -> Iterator[None]:
        """Enclose a run from before its intent until its token is stored, revoked or lost."""
        self._runs[run] = None
        try:
            yield
        finally:
            self.end(run)

    @contextmanager
    def minting(self) -> Iterator[None]:
        """Enclose a mint, from before its intent until its answer is registered or lost."""
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

    def register(self, run: str, token_id: str) -> bool:
        """Note which token the mint of a run made; False when another run got the same."""
        with self._changed:
            if token_id in self._minted:
                return False
            self._minted.add(token_id)
            self._runs[run] = token_id
            return True

    def end(self, run: str) -> None:
        """Note that a run is over: its token is stored, revoked, or lost."""
        self._runs.pop(run, None)
        self._ended.add(run)

    def current(self) -> dict[str, str | None]:
        """Return the runs that are not over, each with its token, None while it is to be minted."""
        return self._runs.copy()

    def has_ended(self, run: str) -> bool:
        """Tell whether a run was one of this process, and is over."""
        return run in self._ended

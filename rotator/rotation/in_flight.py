"""In-flight mints: what the rotations of this process do that no store shows yet."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

REMEMBERED = 10_000  # mints that are over: by then an intent is dead by its age


class InFlightMints:
    """The mints of this process and their tokens; shared by all threads.

    Mints go on side by side. A search for orphans waits until the API has answered those that were
    begun, and lets no other begin: so it never takes a token on its way for an orphan.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._is_searching = False
        self._unanswered: set[str] = set()
        self._in_flight: dict[str, str | None] = {}
        self._ended: dict[str, None] = {}  # the oldest is first
        self._minted: dict[str, None] = {}

    def begin(self, mint_id: str) -> None:
        """Begin a mint, before its intent is written; waits for the end of a search for orphans."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_searching)
            self._unanswered.add(mint_id)
            self._in_flight[mint_id] = None

    def register_token(self, mint_id: str, token_id: str) -> bool:
        """Keep which token a mint made; return False when another mint got the same."""
        with self._changed:
            if token_id in self._minted:
                return False
            _remember(self._minted, token_id)
            self._in_flight[mint_id] = token_id
            self._unanswered.discard(mint_id)
            self._changed.notify_all()
            return True

    def end(self, mint_id: str) -> None:
        """Take a mint for over: its token is stored, revoked, or lost."""
        with self._changed:
            self._unanswered.discard(mint_id)
            self._in_flight.pop(mint_id, None)
            _remember(self._ended, mint_id)
            self._changed.notify_all()

    @contextmanager
    def searching(self) -> Iterator[None]:
        """Enclose a search for orphans: one at a time, with no mint unanswered."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_searching)
            self._is_searching = True
            self._changed.wait_for(lambda: not self._unanswered)
        try:
            yield
        finally:
            with self._changed:
                self._is_searching = False
                self._changed.notify_all()

    def current(self) -> dict[str, str | None]:
        """Return the ids of the mints that are not over, each with its token's id once known."""
        with self._changed:
            return self._in_flight.copy()

    def has_ended(self, mint_id: str) -> bool:
        """Tell whether a mint was one of the last of this process, and is over."""
        return mint_id in self._ended


def _remember(kept: dict[str, None], name: str) -> None:
    """Keep a name, and forget the oldest of too many: a daemon runs for years."""
    kept[name] = None
    if len(kept) > REMEMBERED:
        del kept[next(iter(kept))]

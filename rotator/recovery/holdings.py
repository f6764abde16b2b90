"""What all the stores of the fleet hold: which tokens, and which open intents."""

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from rotator.rotation.observe import Reading, Silence, look
from rotator.stores.journal import Intent
from rotator.stores.port import SecretStore

_RECENT = 1.0  # seconds
_HOUR = 3600.0
_SHARE = 10  # of the time: a look that takes long is used for so much longer


class Holdings(NamedTuple):
    """One look at every store of the fleet."""

    answers: tuple[Reading | Silence, ...] = ()

    @property
    def silent(self) -> tuple[str, ...]:
        """The URLs of the stores that did not answer, about which nothing can be said."""
        return tuple(each.store.url for each in self.answers if isinstance(each, Silence))

    @property
    def known_ids(self) -> frozenset[str]:
        """The ids of the tokens that stand in the stores, or stood there by their journals."""
        return frozenset(token_id for reading in self._readings for token_id in reading.known_ids)

    @property
    def intents(self) -> Iterator[tuple[SecretStore, Intent]]:
        """Every open intent, with the store that holds it."""
        for reading in self._readings:
            for intent in reading.found.journal.intents:
                yield reading.store, intent

    def holders(self, token_id: str) -> frozenset[str]:
        """Return the URLs of the stores that show this token, or might: those that are silent."""
        holders = (r.store.url for r in self._readings if r.token and r.token.token_id == token_id)
        return frozenset((*holders, *self.silent))

    @property
    def _readings(self) -> Iterator[Reading]:
        return (each for each in self.answers if isinstance(each, Reading))


class Fleet:
    """All the stores of one config, opened for each look; safe to share between threads."""

    def __init__(
        self, open_stores: Callable[[], Sequence[SecretStore]], monotonic: Callable[[], float]
    ) -> None:
        self._open_stores = open_stores
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._seen = Holdings()
        self._stale_at = float("-inf")
        self._known_ids: frozenset[str] = frozenset()
        self._known_until = float("-inf")

    def look(self) -> Holdings:
        """Read every store now."""
        with self._lock:
            return self._read()

    def known_ids(self) -> frozenset[str]:
        """Return the ids that the stores knew within the hour; a new token is none of them."""
        with self._lock:
            if self._monotonic() > self._known_until:
                self._known_ids = self._taken().known_ids
                self._known_until = self._monotonic() + _HOUR
            return self._known_ids

    def recent(self) -> Holdings:
        """Return a look that is a second old, or ten times as old as it took to take it.

        The tokens of a fleet must not mean its square in reads.
        """
        with self._lock:
            if self._monotonic() > self._stale_at:
                return self._read()
            return self._seen

    def _read(self) -> Holdings:
        begun = self._monotonic()
        self._seen = self._taken()
        self._stale_at = begun + max(_RECENT, _SHARE * (self._monotonic() - begun))
        return self._seen

    def _taken(self) -> Holdings:
        return Holdings(tuple(look(store) for store in self._open_stores()))

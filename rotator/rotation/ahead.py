"""Read ahead: the first looks at many secrets by few requests, where their stores can do that.

What was read ahead only tells whether there is anything to do: whoever changes a store reads it
again. Where it is denied or fails, each secret is read alone.
"""

import logging
from collections.abc import Callable, Hashable, Iterable
from datetime import datetime
from functools import cache
from threading import Lock
from typing import Protocol, cast

from rotator.errors import StoreError, internal_error
from rotator.rotation.observe import (
    Observation,
    Snapshot,
    Unreachable,
    observe_store,
    snapshot_of,
)
from rotator.stores.port import FirstRead, ReadsAhead, SecretStore

_FEWEST = 5  # secrets that are worth a request more
_FRESH = 60.0  # seconds
_PAUSE = 3600.0  # seconds until it is tried again where it failed
_log = logging.getLogger(__name__)


class _AheadStore(ReadsAhead, SecretStore, Protocol):
    """A store of which more can be read at once."""


class ReadAhead:
    """The stores that are to be looked at next; shared by all threads.

    `monotonic` counts seconds. Where the looks `may_lag`, journals may be some minutes old: not for
    whoever decides which tokens are orphans.
    """

    def __init__(self, monotonic: Callable[[], float], *, may_lag: bool = False) -> None:
        self._monotonic = monotonic
        self._may_lag = may_lag
        self._shelves: dict[Hashable, _Shelf] = {}

    def expect(self, stores: Iterable[SecretStore]) -> None:
        """Note stores in the order of the looks; what was read of them before does not count."""
        for store in stores:
            if _reads_ahead(type(store)):
                known = cast("_AheadStore", store)
                self._shelves.setdefault(known.shelf(), self._new_shelf()).expect(known)

    def _new_shelf(self) -> "_Shelf":
        return _Shelf(self._monotonic, may_lag=self._may_lag)

    def observe(self, stores: Iterable[SecretStore], now: datetime) -> Snapshot:
        """Look at each store once; `now` (aware UTC) tells which tokens live. Raises nothing."""
        return snapshot_of((self.observe_store(store) for store in stores), now)

    def observe_store(self, store: SecretStore) -> Observation | Unreachable:
        """Look at one store; an error becomes the answer. Only its next look may be read ahead."""
        if not _reads_ahead(type(store)):
            return observe_store(store)
        known = cast("_AheadStore", store)
        shelf = self._shelves.get(known.shelf())
        return observe_store(store, shelf.take(known) if shelf else None)


@cache  # to ask a protocol takes as long as all the rest of a look
def _reads_ahead(store: type[SecretStore]) -> bool:
    return issubclass(store, ReadsAhead)


class _Shelf:
    """Stores that one request can tell of: those that wait, and what was read of others."""

    def __init__(self, monotonic: Callable[[], float], *, may_lag: bool) -> None:
        self._monotonic = monotonic
        self._may_lag = may_lag
        self._lock = Lock()
        self._waiting: dict[str, _AheadStore] = {}
        self._read: dict[str, tuple[_AheadStore, FirstRead]] = {}
        self._stale_at = self._resumes_at = float("-inf")

    def expect(self, store: _AheadStore) -> None:
        with self._lock:
            self._read.pop(store.url, None)
            self._waiting[store.url] = store

    def take(self, store: _AheadStore) -> FirstRead | None:
        """Return what reads a store that is expected; None where it is to be read alone.

        The threads that look at the others wait meanwhile, as one request tells of them, too.
        """
        with self._lock:
            now = self._monotonic()
            if now > self._stale_at:
                self._waiting = {u: each for u, (each, _) in self._read.items()} | self._waiting
                self._read = {}
            is_expected = self._waiting.pop(store.url, None) is not None
            if is_expected and len(self._waiting) + 1 >= _FEWEST and now >= self._resumes_at:
                self._read_more(store)
            _, read = self._read.pop(store.url, (None, None))
            return read

    def _read_more(self, store: _AheadStore) -> None:
        stores = [store, *self._waiting.values()]
        try:
            found = store.read_ahead(stores, may_lag=self._may_lag)
        except StoreError as error:
            _log.info("each is read alone: %s", error)
        except Exception as error:  # noqa: BLE001 - a bug there must not stop the looks
            _log.warning("%s: nothing was read ahead: %s", store.url, internal_error(error))
        else:
            for each in stores:
                if each.url in found:
                    self._waiting.pop(each.url, None)
                    self._read[each.url] = each, found[each.url]
            self._stale_at = self._monotonic() + _FRESH
            return
        self._resumes_at = self._monotonic() + _PAUSE

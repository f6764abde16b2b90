"""Real stores with something in their way."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import datetime

from rotator.errors import StoreError
from rotator.stores.journal import Journal
from rotator.stores.port import Absent, Entry, Rehearsable, ScratchStore, SecretStore


def nothing() -> None:
    """Do nothing."""


def scratch_beside(store: SecretStore) -> ScratchStore:
    """Return the scratch place of a store that has one."""
    scratch = store.scratch() if isinstance(store, Rehearsable) else None
    assert scratch is not None
    return scratch


class MeddledStore:
    """A real store; what somebody else does at the same moment, or what breaks, is passed in."""

    def __init__(  # noqa: PLR0913 - what may get in the way, by name
        self,
        store: SecretStore,
        *,
        before_read: Callable[[], object] = nothing,
        before_preflight: Callable[[], object] = nothing,
        before_write: Callable[[], object] = nothing,
        after_write: Callable[[], object] = nothing,
        before_note: Callable[[], object] = nothing,
        after_note: Callable[[], object] = nothing,
    ) -> None:
        self._store = store
        self._before_read = before_read
        self._before_preflight = before_preflight
        self._before_write = before_write
        self._after_write = after_write
        self._before_note = before_note
        self._after_note = after_note

    @property
    def url(self) -> str:
        return self._store.url

    def read(self) -> Entry | Absent:
        self._before_read()
        return self._store.read()

    def preflight(self) -> None:
        self._before_preflight()
        self._store.preflight()

    def write(self, secret: str, journal: Journal, *, expected: str) -> None:
        self._before_write()
        self._store.write(secret, journal, expected=expected)
        self._after_write()

    def note(self, journal: Journal, *, expected: str) -> str:
        self._before_note()
        version = self._store.note(journal, expected=expected)
        self._after_note()
        return version

    def hold(self) -> AbstractContextManager[None]:
        return self._store.hold()

    def held_elsewhere(self) -> bool | None:
        return self._store.held_elsewhere()


class EphemeralStore(MeddledStore):
    """A real store that deletes what it holds at `ends_at`, and says so."""

    ends_at: datetime | None = None

    def read(self) -> Entry | Absent:
        found = super().read()
        return replace(found, ends_at=self.ends_at) if isinstance(found, Entry) else found


class Failing:
    """An obstacle that raises this error, each time or only the given times (counted from 1)."""

    def __init__(self, error: StoreError, *times: int) -> None:
        self._error = error
        self._times = times
        self._calls = 0

    def __call__(self) -> None:
        self._calls += 1
        if not self._times or self._calls in self._times:
            raise self._error


class SharedStore(MeddledStore):
    """A real store as one between hosts is: its writes are compared and set, and no lock tells."""

    def hold(self) -> AbstractContextManager[None]:
        return nullcontext()

    def held_elsewhere(self) -> None:
        return None

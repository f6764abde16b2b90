"""Real `.env` stores of several processes of one machine, or of several hosts."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal, NamedTuple

from rotator.errors import ConflictError, StoreError, StoreUnreachableError
from rotator.stores.journal import Journal
from rotator.stores.port import Absent, Entry, SecretStore
from tests.stateful.life import Life

Kind = Literal["down", "full", "lost", "conflict"]


class Trouble(NamedTuple):
    """What ails a store from its `first` operation on, `times` times.

    `lost` and `conflict` do what they were asked to do, and deny it.
    """

    kind: Kind
    first: int
    times: int


class Locks:
    """Stands for the kernel's locks, which here would take all processes for one."""

    def __init__(self) -> None:
        self._owners: dict[str, Life] = {}

    @contextmanager
    def held(self, file: str, life: Life) -> Iterator[None]:
        if self._owners.get(file) is life:
            yield
            return
        while file in self._owners:
            life.wait()
        self._owners[file] = life
        try:
            yield
        finally:
            del self._owners[file]

    def held_elsewhere(self, file: str, life: Life) -> bool:
        return self._owners.get(file, life) is not life


class LivingStore:
    """A store as one process sees it; without `locks` it is one that several hosts share."""

    def __init__(
        self,
        store: SecretStore,
        life: Life,
        locks: Locks | None,
        changed: Callable[[], None],
    ) -> None:
        self._store = store
        self._life = life
        self._locks = locks
        self._changed = changed
        self._file = store.url.partition("#")[0]
        self._trouble: Trouble | None = None
        self._operations = 0

    def suffer(self, trouble: Trouble | None) -> None:
        self._trouble, self._operations = trouble, 0

    @property
    def url(self) -> str:
        return self._store.url

    def read(self) -> Entry | Absent:
        self._begin("down")
        found = self._store.read()
        self._life.moment()
        return found

    def preflight(self) -> None:
        self._begin("down", "full")
        self._store.preflight()

    def write(self, secret: str, journal: Journal, *, expected: str) -> None:
        with self._writing():
            self._store.write(secret, journal, expected=expected)

    def note(self, journal: Journal, *, expected: str) -> str:
        with self._writing():
            return self._store.note(journal, expected=expected)

    @contextmanager
    def hold(self) -> Iterator[None]:
        self._begin("down")
        with self._held():
            yield

    def held_elsewhere(self) -> bool | None:
        self._begin("down")
        return self._locks.held_elsewhere(self._file, self._life) if self._locks else None

    def _held(self) -> AbstractContextManager[None]:
        return self._locks.held(self._file, self._life) if self._locks else nullcontext()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        kind = self._begin("down", "full")
        yield
        self._changed()
        self._life.moment()
        if kind == "lost":
            raise StoreUnreachableError(f"{self.url}: the answer was lost")
        if kind == "conflict":
            raise ConflictError(f"{self.url}: the answer was lost, and the write repeated")

    def _begin(self, *fatal: Kind) -> Kind | None:
        self._life.moment()
        self._operations += 1
        trouble, at = self._trouble, self._operations
        if trouble is None or not trouble.first <= at < trouble.first + trouble.times:
            return None
        if trouble.kind not in fatal:
            return trouble.kind
        if trouble.kind == "down":
            raise StoreUnreachableError(f"{self.url}: the store is down")
        raise StoreError(f"{self.url}: the disk is full")

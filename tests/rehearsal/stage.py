"""Real stores beside whose scratch places something gets in the way."""

from collections.abc import Callable
from typing import Any

from rotator.stores.journal import Journal
from rotator.stores.port import Absent, Entry, ScratchStore, SecretStore
from tests.support.stores import MeddledStore, nothing, scratch_beside


class MeddledScratch(MeddledStore):
    """A scratch place; what is read there may be `altered`."""

    def __init__(
        self,
        store: ScratchStore,
        *,
        before_remove: Callable[[], object] = nothing,
        altered: Callable[[Entry], Entry] | None = None,
        **meddling: Any,  # noqa: ANN401 - passed on
    ) -> None:
        super().__init__(store, **meddling)
        self._scratch = store
        self._before_remove = before_remove
        self._altered = altered

    def read(self) -> Entry | Absent:
        found = super().read()
        return self._altered(found) if self._altered and isinstance(found, Entry) else found

    def remove(self, journal: Journal, *, expected: str) -> None:
        self._before_remove()
        self._scratch.remove(journal, expected=expected)


class Stage(MeddledStore):
    """A store whose scratch place is meddled with."""

    def __init__(self, store: SecretStore, **meddling: Any) -> None:  # noqa: ANN401 - passed on
        super().__init__(store)
        self._place = MeddledScratch(scratch_beside(store), **meddling)

    def scratch(self) -> ScratchStore:
        return self._place


class SharedScratch(MeddledScratch):
    """A scratch place between hosts: no lock tells who is at work there."""

    def held_elsewhere(self) -> None:
        return None


class SharedStage(MeddledStore):
    """A store between hosts."""

    def scratch(self) -> ScratchStore:
        return SharedScratch(scratch_beside(self._store))

    def held_elsewhere(self) -> None:
        return None

"""The operations of the stores as one sequence of steps, and what may stand in the way of one."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Literal

from rotator.stores.port import SecretStore
from tests.support.stores import MeddledStore

Phase = Literal["before", "after"]
Step = Callable[[str, str, Phase], None]  # is told the file, the operation, and where in it we are
CHANGING = ("write", "note")


def unhindered(_file: str, _operation: str, _phase: Phase) -> None:
    """Let every step pass."""


class Stepped(MeddledStore):
    """A real store each operation of which is a step."""

    def __init__(self, store: SecretStore, file: str, passing: Step) -> None:
        def at(operation: str, phase: Phase = "before") -> Callable[[], None]:
            return lambda: passing(file, operation, phase)

        super().__init__(
            store,
            before_read=at("read"),
            before_preflight=at("preflight"),
            before_write=at("write"),
            after_write=at("write", "after"),
            before_note=at("note"),
            after_note=at("note", "after"),
        )
        self._before_hold = at("hold")

    def hold(self) -> AbstractContextManager[None]:
        self._before_hold()
        return super().hold()


class Tape:
    """Writes down the steps of a run."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, str]] = []

    def __call__(self, file: str, operation: str, phase: Phase) -> None:
        if phase == "before":
            self.steps.append((file, operation))


class Trap:
    """Does something at one step of a run; with `lasting` at all later ones of that store, too."""

    def __init__(
        self, place: int, phase: Phase, spring: Callable[[str], None], *, lasting: bool = False
    ) -> None:
        self._place = place
        self._phase = phase
        self._spring = spring
        self._lasting = lasting
        self._at = -1
        self._caught = ""

    @property
    def is_sprung(self) -> bool:
        return bool(self._caught)

    def __call__(self, file: str, _operation: str, phase: Phase) -> None:
        self._at += phase == "before"
        here = self._at == self._place and phase == self._phase
        if here:
            self._caught = file
        if here or (self._lasting and file == self._caught):
            self._spring(file)

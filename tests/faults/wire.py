"""Every way in which a call can fail, and calls whose work or answer is held back."""

from collections.abc import Callable
from threading import Condition
from typing import NamedTuple

from tests.support.sandbox import Fault, Sandbox
from tests.support.waiting import PATIENCE


class Gate:
    """Holds calls back until it is opened; what comes after that passes."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._inside = 0
        self._open = False
        self.is_used = False

    def hold(self) -> None:
        """Wait here until the gate is open."""
        with self._changed:
            self.is_used = True
            self._inside += 1
            self._changed.wait_for(lambda: self._open)

    def leave(self) -> None:
        """Tell that the work behind the gate is done."""
        with self._changed:
            self._inside -= 1
            self._changed.notify_all()

    def pass_through(self) -> None:
        """Wait here where nothing is left to be done."""
        self.hold()
        self.leave()

    def open(self) -> None:
        """Let all pass that wait, and wait until their work is done."""
        with self._changed:
            self._open = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._inside, PATIENCE)

    def close(self) -> None:
        """Let nobody wait for ever, whatever became of the test."""
        self.open()


class Place(NamedTuple):
    """A call of a good rotation, by its number (from 1) and its name.

    A fault that is there for good at the list before the mint also hits the mint.
    """

    number: int
    name: str

    @property
    def may_hit_mint(self) -> bool:
        return self.name.endswith(" /auth/admin/service-tokens")


def strike(api: Sandbox, place: Place, fault: Fault, *, for_good: bool) -> None:
    """Let one call fail, by its place in the run; for good means it and all after it."""
    if place.number > 1:
        api.misbehave(Fault(), times=place.number - 1)
    api.misbehave(fault, times=None if for_good else 1)


def answered_late(gate: Gate) -> Fault:
    """Do the work at once, and answer when nobody waits any more."""

    return Fault(after=gate.pass_through)


def lost(gate: Gate) -> Fault:
    """Never do the work, and let the client wait for an answer."""
    return Fault(work=False, after=gate.pass_through)


def done_late(gate: Gate) -> Fault:
    """Do the work when nobody waits any more."""
    return Fault(before=gate.hold, after=gate.leave)


FAULTS: dict[str, Callable[[], Fault]] = {
    "reset before the work": Fault.reset_before,
    "reset after the work": Fault.reset_after,
    "500 after the work": Fault.server_error,
    "500 instead of the work": lambda: Fault.server_error(work=False),
    "500 of a dead database": lambda: Fault.server_error(with_token=False, work=False),
    "502 page after the work": lambda: Fault.html(502, work=True),
    "502 page instead of the work": lambda: Fault.html(502),
    "200 page after the work": lambda: Fault.html(200, work=True),
    "200 page instead of the work": lambda: Fault.html(200),
    "empty answer": Fault.empty_body,
    "truncated answer": Fault.truncated,
    "429": lambda: Fault.too_many(None),
    "503": Fault.unavailable,
    "401": lambda: Fault.status(401),
    "403": lambda: Fault.status(403),
    "404": lambda: Fault.status(404),
    "422": lambda: Fault.status(422),
    "redirect": lambda: Fault.redirect("http://127.0.0.1:9/"),
}

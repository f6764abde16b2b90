"""What can happen to a run, as data: at which moment it dies, and how."""

from collections.abc import Sequence
from enum import StrEnum
from itertools import groupby
from random import Random
from typing import NamedTuple

REQUEST = "request "
_MINT = f"{REQUEST}POST /auth/admin/service-tokens"


class Death(StrEnum):
    """Before a change; or in a call, of which the server has the whole request."""

    BEFORE = "before"
    UNDONE = "received, never done, by"
    LATE = "received, done after the recovery, by"
    UNANSWERED = "done, not answered, by"


class Moment(NamedTuple):
    step: str
    change: str

    @property
    def is_request(self) -> bool:
        return self.change.startswith(REQUEST)


class Case(NamedTuple):
    """A death in the run `recorded`, at the moment of this number."""

    recorded: tuple[Moment, ...]
    number: int
    death: Death

    @property
    def moment(self) -> Moment:
        return self.recorded[self.number]

    @property
    def call(self) -> int:
        """Return which call of the run this moment begins, counted from 1."""
        return sum(moment.is_request for moment in self.recorded[: self.number + 1])

    @property
    def reached(self) -> tuple[Moment, ...]:
        """Return the moments that the run comes to before it is dead."""
        end = self.number + 1
        if self.death is not Death.BEFORE:
            while self.recorded[end].change.startswith("send "):
                end += 1
        return self.recorded[:end]

    def __str__(self) -> str:
        return f"{self.moment.step}, no. {self.number}: {self.death} {self.moment.change}"


def cases_of(recorded: tuple[Moment, ...]) -> list[Case]:
    """Return a death before each change, and in each call.

    A death when the answer has come is one before the next change, since a run has one thread: the
    last moment is no call.
    """
    before = [Case(recorded, number, Death.BEFORE) for number in range(len(recorded))]
    in_calls = [
        Case(recorded, number, death)
        for number, moment in enumerate(recorded)
        if moment.is_request
        for death in (Death.UNDONE, Death.LATE, Death.UNANSWERED)
    ]
    return sorted(before + in_calls, key=lambda case: case.number)


def thinned(cases: Sequence[Case], drawn: Random, only: str | None = None) -> list[Case]:
    """Draw a death in each step, or two in the one that is named.

    It is one in a call, the first, or the last. Between these a step writes files, each of them in
    one rename: tests/dotenv kills that.
    """
    kept = []
    for step, group in groupby(cases, lambda case: case.moment.step):
        if only in (None, step):
            of_step = list(group)
            ends = (of_step[0], of_step[-1])
            decisive = [each for each in of_step if each.moment.is_request or each in ends]
            kept += drawn.sample(decisive, min(2 if only else 1, len(decisive)))
    return kept


def mint_of(recorded: tuple[Moment, ...], death: Death) -> Case:
    """Return a death in the mint of a run."""
    (number,) = (number for number, moment in enumerate(recorded) if moment.change == _MINT)
    return Case(recorded, number, death)

"""Many tokens in one run: side by side, in a stable order, none able to stop the others."""

import re
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import NamedTuple

from rotator.errors import internal_error
from rotator.rotation.model import Action, Report
from rotator.rotation.policy import Status
from rotator.rotation.rotation import Rotation
from rotator.rotation.threads import map_in_threads

Act = Callable[[Rotation], Report]


def run_fleet(
    rotations: Sequence[Rotation],
    act: Act,
    *,
    stopped: Callable[[], bool] = lambda: False,
    advance: Callable[[], None] = lambda: None,
) -> list[Report]:
    """Apply `act` to every token; return the reports in the order of the tokens.

    No further token is begun once `stopped` returns True; `advance` is called after each.
    """

    def one(rotation: Rotation) -> Report:
        if stopped():
            error = "stopped by a signal before its turn; run again"
            report = _failure(rotation, "stopped", error)
        else:
            report = run_guarded(rotation, act)
        advance()
        return report

    return map_in_threads(one, rotations)


def run_guarded(rotation: Rotation, act: Act) -> Report:
    """Apply `act`; a bug in it becomes a failed report, so that the other tokens go on."""
    try:
        return act(rotation)
    except Exception as error:  # noqa: BLE001 - no bug may stop the other tokens
        return _failure(rotation, "internal", internal_error(error))


def _failure(rotation: Rotation, reason: str, error: str) -> Report:
    return Report(
        rotation.name, Status.UNKNOWN, reason, error, Action.FAILED, error=error, failure=reason
    )


MOST = 1000  # shards
_FORM = re.compile(r"([0-9]{1,4})/([0-9]{1,4})", re.ASCII)


class Shard(NamedTuple):
    """One of `parts` shares, of which the first has the number 0."""

    part: int
    parts: int

    def __str__(self) -> str:
        return f"{self.part}/{self.parts}"


def parse_shard(text: str) -> Shard:
    """Read `0/3`; raises `ValueError` for anything else."""
    match = _FORM.fullmatch(text)
    expected = f"found {text!r}, expected INDEX/COUNT such as 0/3"
    if not match:
        raise ValueError(expected)
    index, count = int(match[1]), int(match[2])
    if not 1 <= count <= MOST:
        raise ValueError(f"{expected}, with a COUNT from 1 to {MOST}")
    if index >= count:
        raise ValueError(f"{expected}, with an INDEX from 0 to {count - 1}")
    return Shard(index, count)


def tokens_of_shard(names: Iterable[str], index: int, count: int) -> list[str]:
    def owner(name: str) -> int:
        return max(range(count), key=lambda shard: sha256(f"{name}\0{shard}".encode()).digest())

    return [name for name in names if owner(name) == index]

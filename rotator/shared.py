"""What the rotations of one process share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from rotator.clock import Clock
from rotator.recovery.holdings import Fleet
from rotator.rotation.in_flight import Ledger

if TYPE_CHECKING:
    from rotator.nocturna.service_tokens import ServiceTokens


class Shared(NamedTuple):
    """`api` connects at its first call, so that a look at a store costs none of it.

    `sleep` takes seconds; `environ` is the environment of which hooks get a part.
    """

    api: Callable[[], ServiceTokens]
    clock: Clock
    ledger: Ledger
    fleet: Fleet
    sleep: Callable[[float], object]
    environ: Mapping[str, str]

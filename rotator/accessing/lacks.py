"""Why a store gives a bot no token, in words."""

from datetime import datetime, timedelta
from typing import NamedTuple

from rotator.registry import file_of
from rotator.rotation.observe import Reading
from rotator.rotation.policy import Inputs, Status, decide
from rotator.tokens import ServiceToken


class Lack(NamedTuple):
    """`reason` is for programs, and stays the same while the time in `message` goes on."""

    reason: str
    message: str


def lives(token: ServiceToken, now: datetime) -> bool:
    """Tell whether a token has not expired."""
    left = token.remaining(now)
    return left is None or left > timedelta()


def lack_of(reading: Reading, now: datetime) -> Lack:
    """Return what is to be said of a store that answered, and shows no live token."""
    verdict = decide(
        Inputs(now, renew_before=timedelta(), token=reading.token, fault=reading.fault)
    )
    why = verdict.message
    file = file_of(reading.store.url)
    if verdict.status is Status.MISSING and file and not file.exists():
        why = "there is no such file yet"
    return Lack(verdict.reason, f"{reading.store.url}: {why}; rotator rotate makes a new one")

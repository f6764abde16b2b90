"""The audit trail: a log line for each decision and each change, with stable fields.

It goes to the logger `rotator.audit`, which the JSON log shows and the text log does not. The
fields and their values are documented in docs/logs.md; tokens appear by their ids alone.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from typing import NamedTuple

from rotator.errors import RotatorError, kind

LOGGER = "rotator.audit"
DONE = "done"
_log = logging.getLogger(LOGGER)


class Event(StrEnum):
    """What happened, as the field `event` shows it."""

    DECIDED = "decided"
    INTENDED = "intended"
    MINTED = "minted"
    WRITTEN = "written"
    NOTED = "noted"
    HOOK = "hook"
    REVOKED = "revoked"
    FINISHED = "finished"


class Run(NamedTuple):
    """One run over one token: every line that is logged meanwhile names both."""

    token: str
    run: str


# What a thread works on: set by `run` alone, so that no line has to be handed both.
_current: ContextVar[Run | None] = ContextVar("run", default=None)


@contextmanager
def run(token: str) -> Iterator[None]:
    """Put a new run id, and the token's name, on every line that this thread logs meanwhile."""
    before = _current.set(Run(token, os.urandom(6).hex()))
    try:
        yield
    finally:
        _current.reset(before)


def current() -> dict[str, str]:
    """Return the fields that name the run in hand, none where there is none."""
    found = _current.get()
    return found._asdict() if found else {}


def about(token: str) -> dict[str, dict[str, str]]:
    """Return the `extra` of a log line that is about this token, and is no part of the trail."""
    return {"audit": {"token": token}}


def tell(event: Event, message: str, **fields: str | None) -> None:
    """Write one line; fields of None are left out, and the outcome is `done` unless given."""
    known = {name: value for name, value in fields.items() if value is not None}
    _log.info("%s", message, extra={"audit": {"event": event, "outcome": DONE, **known}})


@contextmanager
def told(event: Event, message: str, **fields: str | None) -> Iterator[dict[str, str | None]]:
    """Write one line when the block has ended; its outcome is the kind of the error, if any.

    The block may add fields that it learns to the ones that it gets.
    """
    try:
        yield fields
    except RotatorError as error:
        tell(event, f"{message}: {error}", **{**fields, "outcome": kind(error)})
        raise
    tell(event, message, **fields)

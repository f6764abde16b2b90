"""The audit trail: a log line for each decision and each change, with stable fields.

It goes to the logger `rotator.audit`, which the JSON log shows and the text log does not.
docs/logs.md documents the fields and their values. Tokens appear by their ids alone.
"""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum

from rotator.errors import RotatorError, kind

LOGGER = "rotator.audit"
DONE = "done"
GONE = "gone"  # what was to be revoked was no longer listed
_log = logging.getLogger(LOGGER)


class Event(StrEnum):
    """What happened, as the field `event` shows it."""

    DECIDED = "decided"
    INTENDED = "intended"
    MINTED = "minted"
    WRITTEN = "written"
    NOTED = "noted"
    FENCED = "fenced"
    HOOK = "hook"
    IN_USE = "in-use"
    LATE_USE = "late-use"
    REVOKED = "revoked"
    REMOVED = "removed"
    FINISHED = "finished"


# The fields of the run of this thread, so that no line has to be handed them. Only `run` sets them.
_run_fields: ContextVar[dict[str, str] | None] = ContextVar("run", default=None)


@contextmanager
def run(token: str, fields: dict[str, str] | None = None) -> Iterator[None]:
    """Add a new run id and the token's name to every line that this thread logs meanwhile.

    Or go on with those of a run that was left, its `fields`.
    """
    before = _run_fields.set(fields or {"token": token, "run": os.urandom(6).hex()})
    try:
        yield
    finally:
        _run_fields.reset(before)


def run_fields() -> dict[str, str]:
    """Return the fields of the current run, none outside of a run."""
    return _run_fields.get() or {}


def token_field(token: str) -> dict[str, dict[str, str]]:
    """Return the `extra` of a log line about this token that is no part of the trail."""
    return {"audit": {"token": token}}


@contextmanager
def watched(take: Callable[[dict[str, str]], object]) -> Iterator[None]:
    """Hand the fields and the message of each line to `take`, whether or not the log shows it."""
    handler = _Watcher(take)
    is_shown, level = _log.isEnabledFor(logging.INFO), _log.level
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)
    _log.propagate = is_shown
    try:
        yield
    finally:
        _log.removeHandler(handler)
        _log.setLevel(level)
        _log.propagate = True


class _Watcher(logging.Handler):
    def __init__(self, take: Callable[[dict[str, str]], object]) -> None:
        super().__init__()
        self._take = take

    def emit(self, record: logging.LogRecord) -> None:
        self._take({**run_fields(), **record.__dict__["audit"], "message": record.getMessage()})


def record(event: Event, message: str, **fields: str | None) -> None:
    """Write one line; fields of None are left out, and the outcome is `done` unless given."""
    if not _log.isEnabledFor(logging.INFO):
        return
    given = {name: value for name, value in fields.items() if value is not None}
    _log.info("%s", message, extra={"audit": {"event": event, "outcome": DONE, **given}})


@contextmanager
def trace(event: Event, message: str, **fields: str | None) -> Iterator[dict[str, str | None]]:
    """Write one line when the block ends; after an error its kind is the outcome.

    `message` is a sentence about what was then done; a line about an error has the error's own
    text, which names the call or the store. The block gets the fields and may add to them.
    """
    try:
        yield fields
    except RotatorError as error:
        record(event, str(error), **{**fields, "outcome": kind(error)})
        raise
    record(event, message, **fields)

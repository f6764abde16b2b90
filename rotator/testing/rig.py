"""What the contract has to know about a store: how to open it, and how to make it fail."""

import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, TypeVar

import pytest

from rotator.stores.journal import Intent, Journal, PendingRevocation
from rotator.stores.port import Absent, Entry, SecretStore

T = TypeVar("T")
Circumstance = Callable[[], AbstractContextManager[object]]


class Cut(Protocol):
    """Tells after a cut whether there was anything to be cut."""

    @property
    def reached(self) -> bool:
        """True when the store got as far as the step at which it was to be cut off."""
        ...


@dataclass(frozen=True)
class Rig:
    """A store that is empty at first.

    `open` returns another instance for the same secret each time, as another process would have.
    `put` sets the secret by the store's own means, as another program or a person would, and
    `neighbours` returns everything else that is kept beside it, journal excepted, to be compared.

    Inside `unreachable()` the store does not answer; inside `forbidden()` it answers that we may
    nothing, inside `read_only()` that we may only read. Inside `cut(n)` the step number n (from 0)
    fails that a store takes – a request that is lost, an answer that is lost, a full disk; what it
    yields tells afterwards whether there was such a step.

    `values` are texts that `put` can set and the store has to return.
    """

    open: Callable[[], SecretStore]
    put: Callable[[str], object] | None = None
    neighbours: Callable[[], object] = lambda: None
    unreachable: Circumstance | None = None
    forbidden: Circumstance | None = None
    read_only: Circumstance | None = None
    cut: Callable[[int], AbstractContextManager[Cut]] | None = None
    values: tuple[str, ...] = ("no token", "Ä€ \"quoted\" 'too' $HOME #x =", "1")


def given(means: T | None, what: str) -> T:
    """Return what the rig has, or skip the test."""
    if means is None:
        pytest.skip(f"the rig does not tell how to {what}")
    return means


def new_secret() -> str:
    """Return a text like a token, which no other test has."""
    return f"made-up.{secrets.token_urlsafe(120)}.x_~+/=-"


def new_intent(token_id: str | None = None) -> Intent:
    """Return the intent of a new run."""
    moment = datetime(2026, 11, 23, 9, 12, 33, tzinfo=UTC)
    return Intent(secrets.token_hex(6), moment, 90, secrets.token_hex(4), token_id)


def new_journal(*, pending: int = 1, hooks: int = 1, intents: int = 0) -> Journal:
    """Return a record of a rotation that has not been made by anybody else."""
    moment = datetime(2026, 11, 23, 9, 12, 33, tzinfo=UTC)
    return Journal(
        token_id=secrets.token_hex(16),
        previous_token_id=secrets.token_hex(16),
        minted_at=moment,
        intents=tuple(sorted(new_intent("i" * 64) for _ in range(intents))),
        pending=tuple(PendingRevocation(secrets.token_hex(18), moment) for _ in range(pending)),
        hooks=tuple(secrets.token_hex(4) for _ in range(hooks)),
    )


def shown(store: SecretStore) -> tuple[str | None, Journal]:
    """Return what a reader sees: the secret, None where it is absent, and its journal."""
    found = store.read()
    return (found.secret if isinstance(found, Entry) else None), found.journal


def write(store: SecretStore, secret: str, journal: Journal) -> str:
    """Write over whatever is there."""
    return store.write(secret, journal, expected=store.read().version)


def is_absent(store: SecretStore) -> bool:
    """Tell whether the store says that there is no secret."""
    return isinstance(store.read(), Absent)

"""What the contract needs to know about a store: how to open it, and how to make it fail."""

import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import methodcaller
from threading import Barrier
from typing import Protocol, TypeVar

import pytest

from rotator.errors import ConflictError
from rotator.stores.journal import Disuse, Intent, Journal, Leak, PendingRevocation, ReplacedToken
from rotator.stores.port import Absent, Entry, SecretStore

T = TypeVar("T")
Circumstance = Callable[[], AbstractContextManager[object]]


class Cut(Protocol):
    """What `Rig.cut` yields."""

    @property
    def reached(self) -> bool:
        """Whether the store got as far as the step that was to fail."""


@dataclass(frozen=True)
class Rig:
    """A store, empty at first, and the ways to change it and to make it fail.

    Attributes:
        open: returns a new instance for the same secret, as another process would have.
        put: sets the secret by the store's own means, as another program or a person would.
        neighbours: returns everything else that is kept beside the secret, except its journal, to
            be compared.
        unreachable: inside its `with` block the store does not answer.
        forbidden: inside it the store denies every access.
        read_only: inside it the store denies every change.
        cut: inside `cut(n)` step n of the store (from 0) fails: a request or a response is lost, or
            the disk is full. It yields a `Cut`.
        values: texts that `put` can set and the store has to return.

    Without `put`, `unreachable`, `forbidden`, `read_only` or `cut` the tests that need it are
    skipped.
    """

    open: Callable[[], SecretStore]
    put: Callable[[str], object] | None = None
    neighbours: Callable[[], object] = lambda: None
    unreachable: Circumstance | None = None
    forbidden: Circumstance | None = None
    read_only: Circumstance | None = None
    cut: Callable[[int], AbstractContextManager[Cut]] | None = None
    values: tuple[str, ...] = ("no token", "Ä€ \"quoted\" 'too' $HOME #x =", "1")


def require(means: T | None, what: str) -> T:
    """Return an attribute of the rig, or skip the test if it has none."""
    if means is None:
        pytest.skip(f"the rig does not tell how to {what}")
    return means


def new_secret() -> str:
    """Return a unique text that looks like a token."""
    return f"made-up.{secrets.token_urlsafe(120)}.x_~+/=-"


def new_intent(token_id: str | None = None) -> Intent:
    """Return the intent of a new mint."""
    moment = datetime(2026, 11, 23, 9, 12, 33, tzinfo=UTC)
    return Intent(secrets.token_hex(6), moment, 90, secrets.token_hex(4), token_id)


def new_journal(*, pending: int = 1, hooks: int = 1, intents: int = 0) -> Journal:
    """Return a unique journal."""
    moment = datetime(2026, 11, 23, 9, 12, 33, tzinfo=UTC)
    disuse = Disuse(timedelta(days=1), since=moment, used_at=moment)
    return Journal(
        token_id=secrets.token_hex(16),
        previous_token_id=secrets.token_hex(16),
        minted_at=moment,
        intents=tuple(sorted(new_intent("i" * 64) for _ in range(intents))),
        pending=tuple(
            PendingRevocation(secrets.token_hex(18), moment, disuse) for _ in range(pending)
        ),
        hooks=tuple(secrets.token_hex(4) for _ in range(hooks)),
        leak=Leak(moment, (ReplacedToken(secrets.token_hex(18), None),)),
    )


def read_back(store: SecretStore) -> tuple[str | None, Journal]:
    """Return the secret, None if it is absent, and its journal."""
    found = store.read()
    return (found.secret if isinstance(found, Entry) else None), found.journal


def write(store: SecretStore, secret: str, journal: Journal) -> str:
    """Overwrite whatever is there, and return the version that is then read."""
    store.write(secret, journal, expected=store.read().version)
    return store.read().version


def is_absent(store: SecretStore) -> bool:
    """Tell whether the store has no secret."""
    return isinstance(store.read(), Absent)


def race(rig: Rig, method: str, arguments: Sequence[Sequence[object]]) -> list[int]:
    """Call `write` or `note` with each arguments at once; return the numbers that succeeded."""
    version = rig.open().read().version
    stores = [rig.open() for _ in arguments]
    start = Barrier(len(stores))

    def run(store: SecretStore, given: Sequence[object]) -> bool:
        start.wait()
        try:
            methodcaller(method, *given, expected=version)(store)
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(len(stores)) as pool:
        succeeded = pool.map(run, stores, arguments)
        return [number for number, is_success in enumerate(succeeded) if is_success]

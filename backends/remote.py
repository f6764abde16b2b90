"""What the stores behind a server have in common, and those among them with notes in particular."""

import logging
import os
import random
import re
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Generic, TypeVar

from backends.notes import NoteChanges, Notes
from rotator.clock import limit_wait
from rotator.errors import (
    ConfigError,
    ConflictError,
    StoreError,
    StoreUnreachableError,
    describe_lack,
    one_line,
    quote_value,
)
from rotator.stores.journal import Journal
from rotator.stores.port import Absent, Entry, StoreUrl

State = TypeVar("State")
_LOCKS: dict[str, threading.Lock] = {}  # one for each secret that this process changes
_LONGEST_WAIT = 20.0  # seconds
_ATTEMPTS = 8  # while others change other fields of the same secret
_PAUSE = 0.02  # seconds, twice as long after each attempt
_CHANGED = "somebody else changed it since it was read; nothing was written: look at it again"
_STRAY = (OSError, EOFError, RuntimeError, UnicodeError)  # RecursionError is a RuntimeError
_log = logging.getLogger(__name__)


@contextmanager
def name_errors(url: str, spell: Callable[[StoreError], str] = str) -> Iterator[None]:
    """Put the URL in front of each `StoreError` raised inside, and that in the words of `spell`.

    What the system, an SDK or a parser raises over this machine's files and settings becomes one.
    """
    try:
        yield
    except StoreError as error:
        raise type(error)(f"{url}: {spell(error)}") from None
    except _STRAY as error:
        what = describe_lack(error) or _describe_stray(error)
        raise StoreUnreachableError(f"{url}: {what}") from None


@cache
def require_module(name: str) -> None:
    """Raise `ModuleNotFoundError` where an SDK is not installed; whoever calls need not load it."""
    if find_spec(name) is None:
        raise ModuleNotFoundError(name=name)


def attempts() -> Iterator[int]:
    """Count the attempts at a compare-and-set; pause between them, as those who met must part."""
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(limit_wait(random.uniform(0, _PAUSE * 2**attempt)))  # noqa: S311 - no secret
        yield attempt


def find_home(environment: Mapping[str, str]) -> Path | None:
    """Return the home folder; None where neither HOME nor the system's users tell it."""
    try:
        return Path(environment.get("HOME") or Path.home())
    except RuntimeError:
        return None


def _describe_stray(error: Exception) -> str:
    """Describe an error by what is safe to say of it: its file and the system's words."""
    if isinstance(error, OSError) and error.strerror:
        if isinstance(error.filename, str | bytes):
            file = one_line(os.fsdecode(error.filename))
            return f"{file} cannot be used ({error.strerror}): correct its path or permissions"
        return f"this machine refuses what is needed ({error.strerror}): see to its limits"
    if isinstance(error, EOFError):
        return "it asks for an answer at a terminal, and nobody is there: use a login that asks not"
    if isinstance(error, UnicodeError):
        return "a variable or a file of its settings is no text in UTF-8: correct it"
    if isinstance(error, RecursionError):
        return "a file of its settings, or an answer, is nested too deep: correct it"
    return f"its settings cannot be used on this machine ({type(error).__name__}): correct them"


class RemoteStore:
    """A store at a server, which compares and sets; see `rotator.stores.port.SecretStore`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._changing = _LOCKS.setdefault(url.partition("#")[0], threading.Lock())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    def hold(self) -> AbstractContextManager[None]:
        """Do nothing: the compare-and-set keeps others out, and a killed run leaves no lock."""
        return nullcontext()

    def held_elsewhere(self) -> bool | None:
        """Return None: the server does not know who else is at work."""
        return None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let one thread of this process change a secret: its fields have one version together.

        The compare-and-set keeps every change right; this only saves the next attempts. So nobody
        waits for a server for long that does not answer somebody else.
        """
        is_ours = self._changing.acquire(timeout=limit_wait(_LONGEST_WAIT))
        try:
            yield
        finally:
            if is_ours:
                self._changing.release()


class NotedStore(RemoteStore, ABC, Generic[State]):
    """A store that can compare and set the secret, but not the notes beside it: see `Notes`.

    `State` is what a backend has read of a secret, and needs again to change it. Notes about
    `field` have at most `longest_note` characters. `spell` returns the text of an error.
    """

    is_scratch = False

    # Whether a note that was just sent is always among those that are read.
    is_consistent = True

    def __init__(
        self, url: str, field: str, longest_note: int, spell: Callable[[StoreError], str] = str
    ) -> None:
        super().__init__(url)
        self._field = field
        self._longest_note = longest_note
        self._spell = spell

    def read(self) -> Entry | Absent:
        with name_errors(self.url, self._spell):
            state, notes = self._look(to_write=False)
        has_scratch = notes.has_scratch or self._has_scratch(state)
        if notes.secret is None:
            return Absent(notes.version, notes.journal, has_scratch)
        ends_at = self._ends_at(state)
        return Entry(notes.secret, notes.version, notes.journal, ends_at, has_scratch)

    def write(self, secret: str, journal: Journal, *, expected: str) -> None:
        """Note what is to come, replace the secret by a compare-and-set, remove old notes.

        When two fields of one secret change at the same moment, both changes are kept.
        """
        with self._alone(), name_errors(self.url, self._spell):
            for attempt in attempts():
                state, notes = self._look()
                if not notes.is_at(expected):
                    if attempt:
                        self._abandon(secret)
                    raise ConflictError(_CHANGED)
                self._create_if_missing(state)
                noted = self._change_notes(notes, notes.plan_write(secret, journal))
                if self._replace(state, secret):
                    with self._tidying("written, but an old note was left"):
                        cleanup = noted.plan_cleanup(secret, journal, expected)
                        self._change_notes(noted, cleanup)
                    return
            self._abandon(secret)
            raise ConflictError("the secret keeps changing; nothing was written: try again later")

    def note(self, journal: Journal, *, expected: str) -> str:
        """Replace the journal alone; of two first intents at the same moment at most one stays."""
        with name_errors(self.url, self._spell):
            state, notes = self._look()
            has_met = notes.has_rival(journal, expected) or notes.has_changed(journal, expected)
            if has_met or not notes.is_at(expected):
                raise ConflictError(_CHANGED)
            self._create_if_missing(state)
            self._change_notes(notes, notes.plan_note(journal, expected))
            version = notes.version_with(notes.secret, journal)
            if added := notes.plan_withdrawal(journal, expected):
                _, now = self._look()
                is_passed = self.is_consistent and not now.is_at(version)
                if is_passed or now.has_rival(journal, expected):
                    self._send_notes(added)  # perhaps not yet among those that are read
                    raise ConflictError(_CHANGED)
        return version

    def bump(self, *, expected: str) -> str:
        """Write the same secret again as a new version; see `rotator.stores.port.BumpedStore`."""
        with self._alone(), name_errors(self.url, self._spell):
            for _ in attempts():
                state, notes = self._look()
                if not notes.is_at(expected):
                    raise ConflictError(_CHANGED)
                if notes.secret is None:
                    raise StoreError("there is no token whose version could be changed: run again")
                if self._repeat(state):
                    return expected  # the notes of others meanwhile are not in the caller's journal
            raise ConflictError("the secret keeps changing; nothing was written: try again later")

    @abstractmethod
    def _read(self, *, to_write: bool) -> tuple[State, str | None, Mapping[str, str]]:
        """Return the state, the secret in it, and all notes beside it.

        With `to_write`, raise `StoreError` where the secret is not ours to change.
        """

    @abstractmethod
    def _replace(self, state: State, secret: str) -> bool:
        """Replace the secret; return False, having changed nothing, where the state has passed."""

    @abstractmethod
    def _repeat(self, state: State) -> bool:
        """Make a new version of what is there; return False where the state has passed."""

    @abstractmethod
    def _send_notes(self, changes: NoteChanges) -> None:
        """Change these notes, of which each differs from what is there, and leave all others."""

    def _ends_at(self, state: State) -> datetime | None:  # noqa: ARG002 - for those that know it
        """Return when the store itself will delete this value, None where it does not."""
        return None

    def _has_scratch(self, state: State) -> bool:  # noqa: ARG002 - for those that show it there
        """Tell whether a secret is in the scratch place, notes apart."""
        return False

    def _create_if_missing(self, state: State) -> None:
        """Make a place for notes, where that takes a step of its own."""

    def _look(self, *, to_write: bool = True) -> tuple[State, Notes]:
        state, secret, present = self._read(to_write=to_write)
        notes = Notes(self._field, secret, present, self._longest_note, is_scratch=self.is_scratch)
        return state, notes

    def _change_notes(self, notes: Notes, planned: NoteChanges) -> Notes:
        """Send the notes that differ, and return all."""
        changed, changes = notes.change(planned)
        if changes:
            self._send_notes(changes)
        return changed

    def _abandon(self, secret: str) -> None:
        with self._tidying("not written, and a note was left"):
            _, notes = self._look()
            self._change_notes(notes, notes.plan_abandonment(secret))

    @contextmanager
    def _tidying(self, outcome: str) -> Iterator[None]:
        """Log a failure to remove notes: the next write removes them."""
        try:
            yield
        except StoreError as error:
            _log.warning("%s: %s: %s", self.url, outcome, self._spell(error))


class NotedScratch(NotedStore[State]):
    """The scratch place of such a store; see `rotator.stores.port.ScratchStore`."""

    is_scratch = True

    def remove(self, journal: Journal, *, expected: str) -> None:
        """Remove the secret, then its notes, which tell until then whose it is."""
        with self._alone(), name_errors(self.url, self._spell):
            for _ in attempts():
                state, notes = self._look()
                if not notes.is_at(expected):
                    raise ConflictError(_CHANGED)
                if notes.secret is None or self._delete(state):
                    self._change_notes(notes, notes.plan_removal(journal))
                    return
            raise ConflictError("the secret keeps changing; nothing was removed: try again later")

    @abstractmethod
    def _delete(self, state: State) -> bool:
        """Remove the secret; return False, having changed nothing, where the state has passed."""


def check_options(url: StoreUrl, *known: str) -> None:
    """Raise `ConfigError` for an unknown option, and for one in the wrong place.

    In the wrong place an option becomes part of the field or of another option, without a word.
    """
    before, _, fragment = url.text.partition("#")
    # A field that holds these characters has them percent-encoded.
    if re.search(rf"\?|&({'|'.join(known)})=", fragment):
        raise ConfigError(
            f"options of {url.scheme}: stores stand before the `#`: write …?{known[0]}=VALUE#KEY"
        )
    if before.count("?") > 1:
        raise ConfigError(
            f"found two `?` in the URL of {url.scheme}: stores: join options with `&`, as in"
            f" ?{known[0]}=VALUE&{known[-1]}=VALUE"
        )
    if unknown := sorted(set(url.query) - set(known)):
        raise ConfigError(
            f"{url.scheme}: stores take the options {', '.join(known)}, found"
            f" {', '.join(map(quote_value, unknown))}: correct the part between `?` and `#`"
        )


def is_creation_allowed(url: StoreUrl) -> bool:
    """Read the option `create`; raises `ConfigError` unless it is `true` or `false`."""
    create = url.query.get("create", "false")
    if create not in ("true", "false"):
        raise ConfigError(f"expected create=true or create=false, found {quote_value(create)}")
    return create == "true"

"""The Vault store: one field of a KV version 2 secret, in HashiCorp Vault or OpenBao.

    vault://MOUNT/PATH#FIELD    vault://team/kv/bots/luna?mount=team/kv#FIELD

The field is written by check-and-set, and all others are kept. The journal stands in the secret's
custom_metadata. Address and login come from the variables of the `vault` and `bao` commands.
"""

import logging
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from importlib.util import find_spec

from backends.notes import Notes
from backends.vault.address import Address
from backends.vault.failures import RefusedError, translated
from backends.vault.kv import LONGEST, Found, Kv
from backends.vault.session import Session, shared
from backends.vault.settings import Settings
from rotator.errors import ConflictError, StoreError, StoreUnreachableError
from rotator.stores.journal import Journal
from rotator.stores.port import Absent, Entry, StoreUrl

_ATTEMPTS = 5
_log = logging.getLogger(__name__)


def open_store(url: StoreUrl) -> "VaultStore":
    """Return the store behind a `vault:` URL; nothing is looked at yet."""
    if find_spec("hvac") is None:
        raise ModuleNotFoundError(name="hvac")
    return VaultStore(Address.parse(url), shared(Settings.parse(os.environ)))


class VaultStore:
    """A secret in Vault; see `rotator.stores.port.SecretStore` for the promises."""

    def __init__(self, address: Address, session: Session) -> None:
        self._url = address.canonical
        self._field = address.field
        self._kv = Kv(session, address.mount, address.path)

    def __repr__(self) -> str:
        return f"VaultStore({self._url!r})"

    @property
    def url(self) -> str:
        """The canonical address; which server it is on is a setting."""
        return self._url

    def read(self) -> Entry | Absent:
        """Return the secret, its version and its journal."""
        with translated(self._url):
            found = self._kv.look(only=True)
            secret, notes = self._secret(found), self._notes(found)
        if secret is None:
            return Absent(notes.version, notes.journal)
        return Entry(secret, notes.version, notes.journal)

    def preflight(self) -> None:
        """Prove that `write` and `note` would be allowed, by asking which rights the token has."""
        with translated(self._url):
            self._secret(self._kv.look())
            self._kv.prove_writable()

    def write(self, secret: str, journal: Journal, *, expected: str) -> str:
        """Note what the new secret is, write it as a new version, and remove what is past."""
        with translated(self._url):
            for attempt in range(_ATTEMPTS):
                found = self._kv.look()
                notes = self._notes(found)
                if not notes.agrees_with(expected):
                    if attempt:
                        self._abandon(secret)
                    raise self._conflict()
                prepared = self._noted(found, notes.preparing(secret, journal))
                if self._put(prepared, secret):
                    self._settle(
                        prepared, self._notes(prepared).settling(secret, journal, expected)
                    )
                    return notes.version_with(secret, journal)
            self._abandon(secret)
        raise self._conflict()

    def note(self, journal: Journal, *, expected: str) -> str:
        """Replace the journal alone; of two that note a first intent at most one gets through."""
        with translated(self._url):
            found = self._kv.look()
            notes = self._notes(found)
            if not notes.agrees_with(expected) or notes.is_crowded(journal, expected):
                raise self._conflict()
            self._noted(found, notes.noting(journal, expected))
            version = notes.version_with(self._secret(found), journal)
            if added := notes.withdrawing(journal, expected):
                again = self._notes(self._kv.look())
                if not again.agrees_with(version) or again.is_crowded(journal, expected):
                    self._kv.note(added)
                    raise self._conflict()
        return version

    def hold(self) -> AbstractContextManager[None]:
        """Do nothing: the store is shared between hosts, and compares and sets."""
        return nullcontext()

    def held_elsewhere(self) -> None:
        """Tell nothing, as nobody is kept out."""

    def _secret(self, found: Found) -> str | None:
        value = found.fields.get(self._field)
        # A null holds nothing that could be lost; all else that is no text may be somebody's.
        if value is None or isinstance(value, str):
            return value
        raise RefusedError(
            StoreError,
            "the value of this field is no text: correct it, or name another field after the `#`",
        )

    def _notes(self, found: Found) -> Notes:
        return Notes(self._field, self._secret(found), found.notes, LONGEST)

    def _noted(self, found: Found, wanted: Mapping[str, str | None]) -> Found:
        """Note what is not noted yet, and return what then is there."""
        changes = {key: text for key, text in wanted.items() if found.notes.get(key) != text}
        if changes:
            self._kv.note(changes)
        notes = {**found.notes, **changes}
        return replace(found, notes={key: text for key, text in notes.items() if text is not None})

    def _put(self, found: Found, secret: str) -> bool:
        if found.fields.get(self._field) == secret:
            return True
        try:
            return self._kv.put({**found.fields, self._field: secret}, found.version)
        except RefusedError as error:
            if error.kind is not StoreUnreachableError:  # then it may have been written
                self._abandon(secret)
            raise

    def _settle(self, found: Found, past: Mapping[str, str | None]) -> None:
        try:
            self._noted(found, past)
        except RefusedError as error:
            _log.warning("%s: written, but an old note was left: %s", self._url, error.sentence)

    def _abandon(self, secret: str) -> None:
        try:
            found = self._kv.look()
            self._noted(found, self._notes(found).abandoning(secret))
        except RefusedError as error:
            _log.warning("%s: not written, and a note was left: %s", self._url, error.sentence)

    def _conflict(self) -> ConflictError:
        return ConflictError(
            f"{self._url}: somebody else changed {self._field} since it was read;"
            " nothing was written: look at it again"
        )

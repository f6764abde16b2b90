"""The Vault store: one field of a KV version 2 secret, in HashiCorp Vault or OpenBao.

    vault://MOUNT/PATH#FIELD    vault://team/kv/bots/luna?mount=team/kv#FIELD

The field is written by check-and-set, and all others are kept. The journal stands in the secret's
custom_metadata, see `backends.notes`. Address and login come from the variables of the `vault` and
`bao` commands.
"""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from importlib.util import find_spec

from backends.notes import Notes
from backends.vault.address import VaultAddress
from backends.vault.failures import VariableNames, VaultAnswer, name_store
from backends.vault.kv import LONGEST_NOTE, Call, Kv, KvSecret, Request
from backends.vault.settings import VaultSettings
from rotator.errors import ConflictError, StoreError, StoreUnreachableError
from rotator.stores.journal import Journal
from rotator.stores.port import Absent, Entry, StoreUrl

_ATTEMPTS = 5
_log = logging.getLogger(__name__)


def open_store(url: StoreUrl) -> "VaultStore":
    """Return the store behind a `vault:` URL; nothing is looked at yet."""
    if find_spec("hvac") is None:
        raise ModuleNotFoundError(name="hvac")
    address, settings = VaultAddress.parse(url), VaultSettings.parse(os.environ)

    def call(request: Request) -> VaultAnswer:
        from backends.vault.session import share_session  # noqa: PLC0415 - loads the SDK

        return share_session(settings).call(request)

    return VaultStore(address, call, settings.names)


class VaultStore:
    """A secret in Vault; see `rotator.stores.port.SecretStore` for the promises."""

    def __init__(self, address: VaultAddress, call: Call, names: VariableNames) -> None:
        self._url = address.canonical
        self._field = address.field
        self._names = names
        self._kv = Kv(call, address.mount, address.path)

    def __repr__(self) -> str:
        return f"VaultStore({self._url!r})"

    @property
    def url(self) -> str:
        """The canonical address; which server it is on is a setting."""
        return self._url

    def read(self) -> Entry | Absent:
        """Return the secret, its version and its journal."""
        with name_store(self._url, self._names):
            found = self._kv.read(to_write=False)
            secret, notes = self._secret_in(found), self._notes_of(found)
        if secret is None:
            return Absent(notes.version, notes.journal)
        return Entry(secret, notes.version, notes.journal)

    def preflight(self) -> None:
        """Prove that `write` and `note` would be allowed, by asking which rights the token has."""
        with name_store(self._url, self._names):
            self._secret_in(self._kv.read(to_write=True))
            self._kv.prove_writable()

    def write(self, secret: str, journal: Journal, *, expected: str) -> str:
        """Note what the new secret is, write it as a new version, and remove old notes."""
        with name_store(self._url, self._names):
            noted = None
            for _ in range(_ATTEMPTS):
                found = self._kv.read(to_write=True)
                notes = self._notes_of(found)
                if not notes.is_at(expected):
                    break
                noted = self._change_notes(found, notes.plan_write(secret, journal))
                if self._put(noted, secret):
                    settled = self._notes_of(noted).plan_cleanup(secret, journal, expected)
                    with self._tidying("written, but an old note was left"):
                        self._change_notes(noted, settled)
                    return notes.version_with(secret, journal)
            if noted:
                self._abandon(secret)
            raise self._conflict()

    def note(self, journal: Journal, *, expected: str) -> str:
        """Replace the journal alone; of two that note a first intent at most one gets through."""
        with name_store(self._url, self._names):
            found = self._kv.read(to_write=True)
            notes = self._notes_of(found)
            if not notes.is_at(expected) or notes.has_rival(journal, expected):
                raise self._conflict()
            self._change_notes(found, notes.plan_note(journal, expected))
            version = notes.version_with(self._secret_in(found), journal)
            if added := notes.plan_withdrawal(journal, expected):
                again = self._notes_of(self._kv.read(to_write=True))
                if not again.is_at(version) or again.has_rival(journal, expected):
                    self._kv.note(added)
                    raise self._conflict()
        return version

    def hold(self) -> AbstractContextManager[None]:
        """Do nothing: the store is shared between hosts, and compares and sets."""
        return nullcontext()

    def held_elsewhere(self) -> None:
        """Return None, as nobody is kept out."""

    def _secret_in(self, found: KvSecret) -> str | None:
        value = found.fields.get(self._field)
        # Null holds nothing that could be lost; any other value may be somebody's.
        if value is None or isinstance(value, str):
            return value
        raise StoreError(
            "the value of this field is no text: correct it, or name another field after the `#`"
        )

    def _notes_of(self, found: KvSecret) -> Notes:
        return Notes(self._field, self._secret_in(found), found.notes, LONGEST_NOTE)

    def _change_notes(self, found: KvSecret, wanted: Mapping[str, str | None]) -> KvSecret:
        """Send the notes that differ, and return the secret with them."""
        changes = {key: text for key, text in wanted.items() if found.notes.get(key) != text}
        if changes:
            self._kv.note(changes)
        notes = {**found.notes, **changes}
        return replace(found, notes={key: text for key, text in notes.items() if text is not None})

    def _put(self, found: KvSecret, secret: str) -> bool:
        if found.fields.get(self._field) == secret:
            return True
        try:
            return self._kv.put({**found.fields, self._field: secret}, found.version)
        except StoreError as error:
            if not isinstance(error, StoreUnreachableError):  # else it may have been written
                self._abandon(secret)
            raise

    def _abandon(self, secret: str) -> None:
        with self._tidying("not written, and a note was left"):
            found = self._kv.read(to_write=True)
            self._change_notes(found, self._notes_of(found).plan_abandonment(secret))

    @contextmanager
    def _tidying(self, outcome: str) -> Iterator[None]:
        """Log a failure to remove notes: the next write removes them."""
        try:
            yield
        except StoreError as error:
            _log.warning("%s: %s: %s", self._url, outcome, self._names.spell(error))

    def _conflict(self) -> ConflictError:
        return ConflictError(
            "somebody else changed it since it was read; nothing was written: look at it again"
        )

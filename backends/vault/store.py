"""The Vault store: one field of a KV version 2 secret, in HashiCorp Vault or OpenBao.

    vault://MOUNT/PATH#FIELD    vault://team/kv/bots/luna?mount=team/kv#FIELD

The field is written by check-and-set, and all others are kept. The journal stands in the secret's
custom_metadata, see `backends.notes`. Address and login come from the variables of the `vault` and
`bao` commands.
"""

import os
from collections.abc import Mapping
from importlib.util import find_spec

from backends.notes import NoteChanges
from backends.remote import NotedStore, name_errors
from backends.vault.address import VaultAddress
from backends.vault.failures import VariableNames, VaultAnswer
from backends.vault.kv import LONGEST_NOTE, Call, Kv, KvSecret, Request
from backends.vault.settings import VaultSettings
from rotator.errors import StoreError, StoreUnreachableError
from rotator.stores.port import StoreUrl


def open_store(url: StoreUrl) -> "VaultStore":
    """Return the store behind a `vault:` URL; nothing is looked at yet."""
    if find_spec("hvac") is None:
        raise ModuleNotFoundError(name="hvac")
    address, settings = VaultAddress.parse(url), VaultSettings.parse(os.environ)

    def call(request: Request) -> VaultAnswer:
        from backends.vault.session import share_session  # noqa: PLC0415 - loads the SDK

        return share_session(settings).call(request)

    return VaultStore(address, call, settings.names)


class VaultStore(NotedStore[KvSecret]):
    """A secret in Vault; see `rotator.stores.port.SecretStore` for the promises."""

    def __init__(self, address: VaultAddress, call: Call, names: VariableNames) -> None:
        super().__init__(address.canonical, address.field, LONGEST_NOTE)
        self._names = names
        self._kv = Kv(call, address.mount, address.path)

    def preflight(self) -> None:
        """Prove that `write` and `note` would be allowed, by asking which rights the token has."""
        with name_errors(self.url, self._spell):
            self._read(to_write=True)
            self._kv.prove_writable()

    def _read(self, *, to_write: bool) -> tuple[KvSecret, str | None, Mapping[str, str]]:
        found = self._kv.read(to_write=to_write)
        value = found.fields.get(self._field)
        # Null holds nothing that could be lost; any other value may be somebody's.
        if value is None or isinstance(value, str):
            return found, value, found.notes
        raise StoreError(
            "the value of this field is no text: correct it, or name another field after the `#`"
        )

    def _replace(self, state: KvSecret, secret: str) -> bool:
        if state.fields.get(self._field) == secret:
            return True
        try:
            return self._kv.put({**state.fields, self._field: secret}, state.version)
        except StoreError as error:
            if not isinstance(error, StoreUnreachableError):  # else it may have been written
                self._abandon(secret)
            raise

    def _send_notes(self, changes: NoteChanges) -> None:
        self._kv.note(changes)

    def _spell(self, error: StoreError) -> str:
        return self._names.spell(error)

"""The Vault store: one field of a KV version 2 secret, in HashiCorp Vault or OpenBao.

    vault://MOUNT/PATH#FIELD    vault://team/kv/bots/luna?mount=team/kv#FIELD

The field is written by check-and-set, and all others are kept. The journal stands in the secret's
custom_metadata, see `backends.notes`; the order of the steps is that of `backends.remote`. Address
and login come from the variables of the `vault` and `bao` commands.

https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2 and
https://openbao.org/api-docs/secret/kv/kv-v2/
"""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from backends.notes import NoteChanges
from backends.remote import NotedScratch, NotedStore, name_errors, require_module
from backends.vault.address import VaultAddress
from backends.vault.failures import VariableNames, VaultAnswer, as_object, denied, explain
from backends.vault.settings import VaultSettings
from rotator.errors import StoreDeniedError, StoreError, StoreUnreachableError
from rotator.stores.port import SCRATCH, Provenance, StoreUrl, parse_moment

if TYPE_CHECKING:
    import hvac

Request = Callable[["hvac.Client"], VaultAnswer]
_MOST_VERSIONS = 10  # as many as Vault keeps unless told otherwise
_LONGEST_NOTE = 512  # bytes of a value in custom_metadata, of which there are at most 64
_DATA = ("read", "update")
_METADATA = ("create", "patch", "read")
_READ = ("read",)


def open_store(url: StoreUrl) -> "VaultStore":
    """Return the store behind a `vault:` URL; nothing is looked at yet."""
    require_module("hvac")
    address, settings = VaultAddress.parse(url), VaultSettings.parse(os.environ)

    def call(request: Request) -> VaultAnswer:
        from backends.vault.session import share_session  # noqa: PLC0415 - loads the SDK

        return share_session(settings, url.connections).call(request)

    return VaultStore(address, call, settings.names)


@dataclass(frozen=True, slots=True)
class KvSecret:
    """A secret at one moment: `version` is its last one, 0 if there was never any.

    A deleted secret keeps its version, and has no fields.
    """

    version: int
    fields: Mapping[str, Any] = field(repr=False)
    metadata: Mapping[str, Any]


class VaultStore(NotedStore[KvSecret]):
    def __init__(
        self, address: VaultAddress, call: Callable[[Request], VaultAnswer], names: VariableNames
    ) -> None:
        field = f"{address.field}{SCRATCH}" if self.is_scratch else address.field
        url = replace(address, field=field).canonical
        super().__init__(url, address.field, _LONGEST_NOTE, names.spell)
        self._made_of = (address, call, names)
        self._key = field
        self._call = call
        self._mount = mount = address.mount
        self._secret = {"mount_point": mount, "path": address.path}
        self._mount_info = f"sys/internal/ui/mounts/{quote(mount)}/{quote(address.path)}"
        # As a policy has them:
        self._data = f"{mount}/data/{address.path}"
        self._metadata = f"{mount}/metadata/{address.path}"

    def earlier_secrets(self) -> Iterator[str]:
        """Yield the field in the versions before the last one, the newest first."""
        with name_errors(self.url, self._spell):
            last = self._read_data(to_write=False).version
            for version in range(last - 1, max(0, last - 1 - _MOST_VERSIONS), -1):
                read = partial(_read_version, version=version, secret=self._secret)
                fields = as_object(self._call_kv(read).data.get("data"))  # none of a deleted one
                value = fields.get(self._key)
                if isinstance(value, str):
                    yield value

    def scratch(self) -> "ScratchField":
        """Return the scratch place: another field of the same secret."""
        return ScratchField(*self._made_of)

    def provenance(self) -> Provenance:
        """Tell when the last version was written; Vault does not tell by whom."""
        with name_errors(self.url, self._spell):
            created = self._read_data(to_write=False).metadata.get("created_time")
        return Provenance(changed_at=parse_moment(created))

    def preflight(self) -> None:
        """Prove that `write` and `note` would be allowed, by asking which rights the token has."""
        with name_errors(self.url, self._spell):
            self._read(to_write=True)
            paths = {self._data: _DATA, self._metadata: _METADATA}
            answer = self._call(lambda vault: vault.sys.get_capabilities(list(paths)))
            self._demand(answer, "sys/capabilities-self", ("update",), "use")
            for path, needed in paths.items():
                granted = answer.data.get(path) or ()
                missing = [each for each in needed if each not in granted]
                if missing and "root" not in granted:
                    raise denied(path, needed, missing[0])

    def _read(self, *, to_write: bool) -> tuple[KvSecret, str | None, Mapping[str, str]]:
        found = self._read_data(to_write=to_write)
        notes = as_object(found.metadata.get("custom_metadata"))
        texts = {key: text for key, text in notes.items() if isinstance(text, str)}
        value = found.fields.get(self._key)
        # Null holds nothing that could be lost; any other value may be somebody's.
        if value is None or isinstance(value, str):
            return found, value, texts
        raise StoreError(
            "the value of this field is no text: correct it, or name another field after the `#`"
        )

    def _ends_at(self, state: KvSecret) -> datetime | None:
        """https://developer.hashicorp.com/vault/docs/secrets/kv/kv-v2/cookbook/delete-data."""
        return parse_moment(state.metadata.get("deletion_time"))

    def _has_scratch(self, state: KvSecret) -> bool:
        return f"{self._key}{SCRATCH}" in state.fields

    def _replace(self, state: KvSecret, secret: str) -> bool:
        if state.fields.get(self._key) == secret:
            return True
        try:
            return self._put({**state.fields, self._key: secret}, state.version)
        except StoreError as error:
            if not isinstance(error, StoreUnreachableError):  # else it may have been written
                self._abandon(secret)
            raise

    def _repeat(self, state: KvSecret) -> bool:
        return self._put(state.fields, state.version)

    def _put(self, fields: Mapping[str, Any], version: int) -> bool:
        """Write the version after this one; return False if another has been written already."""
        answer = self._call_kv(
            lambda kv: kv.create_or_update_secret(**self._secret, secret=fields, cas=version)
        )
        if answer.status == HTTPStatus.BAD_REQUEST and "check-and-set" in answer.errors:
            return False
        self._demand(answer, self._data, _DATA, "update")
        if answer.data.get("version") != version + 1:
            raise explain(answer)
        return True

    def _send_notes(self, changes: NoteChanges) -> None:
        answer = self._patch_metadata(changes)
        if answer.is_missing:
            # Without notes, so that it cannot replace those of a rotator that is faster. For that
            # one's metadata it is an update, which the policy denies and nobody needs.
            created = self._call_kv(lambda kv: kv.update_metadata(**self._secret))
            answer = self._patch_metadata(changes)
            if answer.is_missing:
                self._demand(created, self._metadata, _METADATA, "create")
        self._demand(answer, self._metadata, _METADATA, "patch")

    def _read_data(self, *, to_write: bool) -> KvSecret:
        """Return the secret as it is now; a missing secret is an answer, a missing mount an error.

        If it is read `to_write`, the error for a missing right names all that writing takes, too.
        """
        answer = self._call_kv(
            lambda kv: kv.read_secret_version(**self._secret, raise_on_deleted_version=False)
        )
        metadata = as_object(answer.data.get("metadata"))
        if answer.status in (HTTPStatus.OK, HTTPStatus.NOT_FOUND) and isinstance(
            metadata.get("version"), int
        ):
            return KvSecret(metadata["version"], as_object(answer.data.get("data")), metadata)
        if answer.is_nothing:
            return self._read_metadata(_METADATA if to_write else _READ)
        if answer.status == HTTPStatus.FORBIDDEN:
            raise self._denied(self._data, _DATA if to_write else _READ, "read")
        if answer.status == HTTPStatus.OK:  # not of KV version 2
            self._prove_version()
        raise explain(answer)

    def _read_metadata(self, needed: tuple[str, ...]) -> KvSecret:
        """Tell a secret that has only notes, or nothing, from a mount of another kind."""
        answer = self._call_kv(lambda kv: kv.read_secret_metadata(**self._secret))
        if isinstance(answer.data.get("current_version"), int):
            # Version 0, whatever it is by now: a first version that others wrote since the look at
            # the data has fields that were not seen, and our write must not replace it.
            return KvSecret(0, {}, answer.data)
        if not answer.is_nothing:
            self._demand(answer, self._metadata, needed, "read")
        self._prove_version()
        return KvSecret(0, {}, {})

    def _prove_version(self) -> None:
        mount = self._check_mount()
        if mount.status != HTTPStatus.OK or not mount.body:
            raise explain(mount)

    def _check_mount(self) -> VaultAnswer:
        """Read what the mount is, if the policy allows that, and refuse all but KV version 2."""
        mount = self._call(lambda vault: vault.read(self._mount_info))
        if mount.status != HTTPStatus.OK or not mount.body:
            return mount
        if mount.data.get("type") not in ("kv", "generic"):
            raise StoreUnreachableError(f"the mount {self._mount} is no KV mount: correct the URL")
        if as_object(mount.data.get("options")).get("version") != "2":
            raise StoreError(
                "this mount is KV version 1; it cannot compare and set: upgrade it with"
                f" vault kv enable-versioning {self._mount}"
            )
        return mount

    def _demand(self, answer: VaultAnswer, path: str, needed: tuple[str, ...], action: str) -> None:
        if answer.status == HTTPStatus.FORBIDDEN:
            raise self._denied(path, needed, action)
        if not answer.is_success:
            raise explain(answer)

    def _denied(self, path: str, needed: tuple[str, ...], action: str) -> StoreDeniedError:
        error = denied(path, needed, action)
        if self._check_mount().status == HTTPStatus.OK:
            return error
        return StoreDeniedError(f"{error}; or there is no mount {self._mount}")

    def _patch_metadata(self, changes: NoteChanges) -> VaultAnswer:
        return self._call(  # as hvac can only replace custom_metadata as a whole
            lambda vault: vault.adapter.request(
                "PATCH",
                f"/v1/{quote(self._metadata)}",
                headers={"Content-Type": "application/merge-patch+json"},
                json={"custom_metadata": changes},
            )
        )

    def _call_kv(self, request: Callable[[Any], VaultAnswer]) -> VaultAnswer:
        return self._call(lambda vault: request(vault.secrets.kv.v2))


class ScratchField(VaultStore, NotedScratch[KvSecret]):
    """The scratch place of a rehearsal, in a secret that has a version to be read."""

    def preflight(self) -> None:
        """Prove what the secret's own proves, and that it is there."""
        super().preflight()
        with name_errors(self.url, self._spell):
            if not self._read_data(to_write=True).fields:
                raise StoreError(
                    "cannot be rehearsed: there is no secret yet; rotator rotate makes it"
                )

    def _delete(self, state: KvSecret) -> bool:
        kept = {key: value for key, value in state.fields.items() if key != self._key}
        return self._put(kept, state.version)


def _read_version(kv: Any, version: int, secret: Mapping[str, str]) -> VaultAnswer:  # noqa: ANN401 - hvac has no types
    answer: VaultAnswer = kv.read_secret_version(
        **secret, version=version, raise_on_deleted_version=False
    )
    return answer

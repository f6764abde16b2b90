"""One secret of a KV version 2 mount, by the requests that it takes.

https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2 and
https://openbao.org/api-docs/secret/kv/kv-v2/
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from backends.vault.failures import Answer, RefusedError, as_object, denied, refusal
from backends.vault.session import Session
from rotator.errors import StoreDeniedError, StoreError, StoreUnreachableError

LONGEST = 512  # bytes of a value in custom_metadata, of which there are at most 64
_DATA = ("read", "update")
_METADATA = ("create", "patch", "read")
_LOOKING = ("read",)
_ASKING = "sys/capabilities-self"


@dataclass(frozen=True, slots=True)
class Found:
    """A secret as it was found: `version` is its last one, 0 if there was never any.

    Of one that was deleted the version counts on, and there are no fields.
    """

    version: int
    fields: Mapping[str, Any] = field(repr=False)
    notes: Mapping[str, str]


class Kv:
    """Reads and writes one secret; every method raises `RefusedError`."""

    def __init__(self, session: Session, mount: str, path: str) -> None:
        self._session = session
        self._mount = mount
        self._whole = f"{mount}/{path}"
        self._data = f"{mount}/data/{path}"
        self._metadata = f"{mount}/metadata/{path}"

    def look(self, *, only: bool = False) -> Found:
        """Return what is there now; nothing is an answer, no mount is none.

        Who lacks a right is told all that it takes to write as well, unless we `only` look.
        """
        answer = self._call("GET", self._data)
        about = as_object(answer.data.get("metadata"))
        if answer.status in (200, 404) and isinstance(about.get("version"), int):
            return _found(about["version"], about, answer.data.get("data"))
        if answer.is_nothing:
            return self._look_closer(_LOOKING if only else _METADATA)
        if answer.status == 403:  # noqa: PLR2004 - no right
            raise self._denied(self._data, _LOOKING if only else _DATA, "read")
        if answer.status == 200:  # noqa: PLR2004 - something else than KV 2
            self._prove_version()
        raise refusal(answer, self._session.names)

    def put(self, fields: Mapping[str, Any], version: int) -> bool:
        """Write a new version after this one; False where that is not the last one any more."""
        body = {"options": {"cas": version}, "data": fields}
        answer = self._call("POST", self._data, body)
        if answer.status == 400 and "check-and-set" in answer.errors:  # noqa: PLR2004 - bad request
            return False
        self._demand(answer, self._data, _DATA, "update")
        if answer.data.get("version") != version + 1:
            raise refusal(answer, self._session.names)
        return True

    def note(self, changes: Mapping[str, str | None]) -> None:
        """Set these keys of custom_metadata, or remove those that are None, and keep all others."""
        body = {"custom_metadata": changes}
        answer = self._call("PATCH", self._metadata, body)
        if answer.is_missing:
            # This option has its default, so that nobody's notes are overwritten who was faster.
            # To them it would be an update, which we may not do and need not.
            made = self._call("POST", self._metadata, {"max_versions": 0})
            answer = self._call("PATCH", self._metadata, body)
            if answer.is_missing:
                self._demand(made, self._metadata, _METADATA, "create")
        self._demand(answer, self._metadata, _METADATA, "patch")

    def prove_writable(self) -> None:
        """Ask whether `put` and `note` would be allowed."""
        paths = {self._data: _DATA, self._metadata: _METADATA}
        answer = self._call("POST", _ASKING, {"paths": list(paths)})
        self._demand(answer, _ASKING, ("update",), "use")
        for path, needed in paths.items():
            granted = answer.data.get(path) or ()
            missing = [each for each in needed if each not in granted]
            if missing and "root" not in granted:
                raise denied(path, needed, missing[0])

    def _look_closer(self, needed: tuple[str, ...]) -> Found:
        """Tell a secret that has only notes, or nothing, from a mount of another kind."""
        answer = self._call("GET", self._metadata)
        if isinstance(answer.data.get("current_version"), int):
            return _found(answer.data["current_version"], answer.data, None)
        if not answer.is_nothing:
            self._demand(answer, self._metadata, needed, "read")
        self._prove_version()
        return Found(0, {}, {})

    def _prove_version(self) -> None:
        answer = self._call("GET", f"sys/internal/ui/mounts/{self._whole}")
        if answer.status != 200 or not answer.body:  # noqa: PLR2004 - not even that is known
            raise refusal(answer, self._session.names)
        self._refuse_others(answer)

    def _refuse_others(self, mount: Answer) -> None:
        kind, options = mount.data.get("type"), as_object(mount.data.get("options"))
        if kind not in ("kv", "generic"):
            raise RefusedError(
                StoreUnreachableError, f"the mount {self._mount} is no KV mount: correct the URL"
            )
        if options.get("version") != "2":
            raise RefusedError(
                StoreError,
                "this mount is KV version 1; it cannot compare and set: upgrade it with"
                f" vault kv enable-versioning {self._mount}",
            )

    def _demand(self, answer: Answer, path: str, needed: tuple[str, ...], doing: str) -> None:
        if answer.status == 403:  # noqa: PLR2004 - no right
            raise self._denied(path, needed, doing)
        if answer.status not in (200, 204) or answer.is_strange:
            raise refusal(answer, self._session.names)

    def _denied(self, path: str, needed: tuple[str, ...], doing: str) -> RefusedError:
        mount = self._call("GET", f"sys/internal/ui/mounts/{self._whole}")
        if mount.status == 200:  # noqa: PLR2004 - the policy knows this mount
            self._refuse_others(mount)
            return denied(path, needed, doing)
        lacking = denied(path, needed, doing).sentence
        return RefusedError(StoreDeniedError, f"{lacking}; or there is no mount {self._mount}")

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        return self._session.call(method, quote(path), body)


def _found(version: int, about: Mapping[str, Any], fields: object) -> Found:
    notes = as_object(about.get("custom_metadata"))
    texts = {key: text for key, text in notes.items() if isinstance(text, str)}
    return Found(version, as_object(fields), texts)

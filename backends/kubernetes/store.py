"""The Kubernetes store: one key of one Secret, changed by patches that name nothing else.

    kubernetes://NAMESPACE/NAME#KEY    kubernetes://bots/luna?context=prod&create=true#TOKEN

The journal is an annotation of the Secret. The `resourceVersion` in each patch makes it a
compare-and-set; the rights `get` and `patch` on this one Secret are enough.
"""

import os
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from http import HTTPStatus
from importlib.util import find_spec
from pathlib import Path

from backends.kubernetes.access import SERVICE_ACCOUNT
from backends.kubernetes.address import Address
from backends.kubernetes.connection import Api, Connection
from backends.kubernetes.failures import Answer, failure, translated
from backends.kubernetes.secret import (
    NOTHING,
    Seen,
    immutable,
    patch_of,
    secret_of,
    seen_in,
    subject_of,
)
from rotator.errors import ConflictError
from rotator.stores.journal import Journal
from rotator.stores.port import Absent, Entry, StoreUrl

_SDK = "lightkube"
_ATTEMPTS = 5
_SAMPLE = ("x", "v=1 token=x")


def open_store(url: StoreUrl) -> "KubernetesStore":
    """Return the store behind a `kubernetes:` URL; nothing is looked at yet.

    Raises `ConfigError`, and `ModuleNotFoundError` where lightkube is not installed.
    """
    address = Address.parse(url)
    if find_spec(_SDK) is None:
        raise ModuleNotFoundError(name=_SDK)
    return KubernetesStore(address, os.environ)


class KubernetesStore:
    """A secret in a Kubernetes Secret; see `rotator.stores.port.SecretStore` for the promises."""

    def __init__(
        self,
        address: Address,
        environment: Mapping[str, str],
        *,
        service_account: Path = SERVICE_ACCOUNT,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._address = address
        self._url = address.canonical
        connection = Connection(address.context, environment, service_account, sleep)
        self._api = Api(address, connection)

    def __repr__(self) -> str:
        return f"KubernetesStore({self._url!r})"

    @property
    def url(self) -> str:
        """The canonical address."""
        return self._url

    def read(self) -> Entry | Absent:
        """Return the secret, its version and its journal; needs the right `get`."""
        with translated(self._url):
            seen = self._look()
        journal = Journal.from_text(seen.journal)
        if seen.value is None:
            return Absent(seen.version, journal)
        return Entry(seen.value, seen.version, journal)

    def preflight(self) -> None:
        """Let the server go through a change with all its checks, as a dry run."""
        with translated(self._url):
            seen = self._look()
            self._changed(seen, *_SAMPLE, dry_run=True)

    def write(self, secret: str, journal: Journal, *, expected: str) -> str:
        """Replace key and annotation in one patch."""
        return self._change(secret, journal.to_text(), expected)

    def note(self, journal: Journal, *, expected: str) -> str:
        """Replace the annotation alone."""
        return self._change(None, journal.to_text(), expected)

    def hold(self) -> AbstractContextManager[None]:
        """Do nothing: the Secret is shared between hosts."""
        return nullcontext()

    def held_elsewhere(self) -> None:
        """Return None: nobody can know."""

    def _look(self) -> Seen:
        answer = self._api.get()
        if answer.status == HTTPStatus.OK:
            return seen_in(answer.body, self._address)
        if answer.reason == "NotFound" and self._address.create:
            return NOTHING
        raise failure(answer, subject_of(self._address, "get"), self._api.nobody)

    def _change(self, secret: str | None, journal: str, expected: str) -> str:
        """Write a journal and a secret, or leave the secret alone where it is None."""
        with translated(self._url):
            for _ in range(_ATTEMPTS):
                seen = self._look()
                if seen.version != expected:
                    raise ConflictError(
                        f"{self._url}: somebody else changed {self._address.key} since it was read;"
                        " nothing was written: look at it again"
                    )
                changed = self._changed(seen, secret, journal)
                if changed:
                    return changed.version
        raise ConflictError(
            f"{self._url}: others keep changing this Secret; nothing was written: try again later"
        )

    def _changed(
        self, seen: Seen, secret: str | None, journal: str, *, dry_run: bool = False
    ) -> Seen | None:
        """Patch or create the Secret; None where somebody else was faster."""
        if seen.immutable:
            raise immutable(self._url)
        if seen.resource_version is None:
            verb = "create"
            wanted = secret_of(self._address, secret, journal)
            answer = self._api.create(wanted, dry_run=dry_run)
        else:
            verb = "patch"
            patch = patch_of(self._address, secret, journal, resource_version=seen.resource_version)
            answer = self._api.patch(patch, dry_run=dry_run)
        if answer.status in (HTTPStatus.OK, HTTPStatus.CREATED):
            return seen_in(answer.body, self._address)
        if _overtaken(answer, verb):
            return None
        raise failure(answer, subject_of(self._address, verb), self._api.nobody)


def _overtaken(answer: Answer, verb: str) -> bool:
    """Tell whether the Secret was changed, created or deleted since we looked."""
    deleted = verb == "patch" and answer.reason == "NotFound"
    return answer.status == HTTPStatus.CONFLICT or deleted

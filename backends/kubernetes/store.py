"""The Kubernetes store: one key of one Secret, changed by patches that name nothing else.

    kubernetes://NAMESPACE/NAME#KEY    kubernetes://bots/luna?context=prod&create=true#TOKEN

The journal is an annotation of the Secret. The `resourceVersion` in each patch makes it a
compare-and-set; the rights `get` and `patch` on this one Secret are enough.
"""

from http import HTTPStatus

from backends.kubernetes.address import KubernetesAddress
from backends.kubernetes.connection import Connection, open_connection
from backends.kubernetes.failures import explain
from backends.kubernetes.secret import SecretPart, build_patch, build_secret, describe_request
from backends.remote import RemoteStore, name_errors
from rotator.errors import ConflictError, StoreError
from rotator.stores.journal import Journal
from rotator.stores.port import Absent, Entry, StoreUrl

_ATTEMPTS = 5
_SAMPLE = ("x", "v=1 token=x")


def open_store(url: StoreUrl) -> "KubernetesStore":
    """Return the store behind a `kubernetes:` URL, without asking the API server.

    Raises `ConfigError`, and `ModuleNotFoundError` where PyYAML is not installed.
    """
    address = KubernetesAddress.parse(url)
    return KubernetesStore(address, open_connection(address.context))


class KubernetesStore(RemoteStore):
    """A secret in a Kubernetes Secret; see `rotator.stores.port.SecretStore` for the promises."""

    def __init__(self, address: KubernetesAddress, connection: Connection) -> None:
        super().__init__(address.canonical)
        self._address = address
        self._connection = connection
        self._folder = f"api/v1/namespaces/{address.namespace}/secrets"
        self._path = f"{self._folder}/{address.name}"

    def read(self) -> Entry | Absent:
        """Return the secret, its version and its journal; needs the right `get`."""
        with name_errors(self.url):
            part = self._read()
        journal = Journal.from_text(part.journal)
        if part.value is None:
            return Absent(part.version, journal)
        return Entry(part.value, part.version, journal)

    def preflight(self) -> None:
        """Let the server go through a change with all its checks, as a dry run."""
        with name_errors(self.url):
            self._try_change(self._read(), *_SAMPLE, dry_run=True)

    def write(self, secret: str, journal: Journal, *, expected: str) -> str:
        """Replace key and annotation in one patch."""
        return self._change(secret, journal.to_text(), expected)

    def note(self, journal: Journal, *, expected: str) -> str:
        """Replace the annotation alone."""
        return self._change(None, journal.to_text(), expected)

    def _read(self) -> SecretPart:
        answer = self._connection.ask("GET", self._path)
        if answer.status == HTTPStatus.OK:
            return SecretPart.parse(answer.body, self._address)
        if answer.reason == "NotFound" and self._address.create:
            return SecretPart()
        raise explain(answer, describe_request(self._address, "get"), self._connection.anonymous)

    def _change(self, secret: str | None, journal: str, expected: str) -> str:
        """Write a journal and a secret, or leave the secret alone where it is None."""
        with name_errors(self.url):
            for _ in range(_ATTEMPTS):
                part = self._read()
                if part.version != expected:
                    raise ConflictError(
                        f"somebody else changed {self._address.key} since it was read; nothing was"
                        " written: look at it again"
                    )
                changed = self._try_change(part, secret, journal)
                if changed:
                    return changed.version
            raise ConflictError(
                "others keep changing this Secret; nothing was written: try again later"
            )

    def _try_change(
        self, part: SecretPart, secret: str | None, journal: str, *, dry_run: bool = False
    ) -> SecretPart | None:
        """Patch or create the Secret; None where it was changed, created or deleted meanwhile."""
        if part.is_immutable:
            raise StoreError(
                "this Secret is immutable and cannot take a new token: delete it, and create it"
                " again without `immutable: true`"
            )
        if part.resource_version is None:
            verb, body = "create", build_secret(self._address, secret, journal)
            answer = self._connection.ask("POST", self._folder, body, dry_run=dry_run)
        else:
            verb, body = "patch", build_patch(self._address, secret, journal, part.resource_version)
            answer = self._connection.ask("PATCH", self._path, body, dry_run=dry_run)
        if answer.status in (HTTPStatus.OK, HTTPStatus.CREATED):
            return SecretPart.parse(answer.body, self._address)
        is_deleted = verb == "patch" and answer.reason == "NotFound"
        if is_deleted or answer.status == HTTPStatus.CONFLICT:
            return None
        raise explain(answer, describe_request(self._address, verb), self._connection.anonymous)

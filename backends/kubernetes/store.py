"""The Kubernetes store: one key of one Secret, changed by patches that name nothing else.

    kubernetes://NAMESPACE/NAME#KEY    kubernetes://bots/luna?context=prod&create=true#TOKEN

The journal is an annotation of the Secret; another one tells people when the token expires. The
`resourceVersion` in each patch makes it a compare-and-set; the rights `get` and `patch` on this one
Secret are enough.
"""

import base64
import hashlib
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from http import HTTPStatus
from itertools import islice
from typing import Any, Self
from urllib.parse import quote

from backends.kubernetes.address import KubernetesAddress
from backends.kubernetes.connection import MANAGER, Connection, share_connection
from backends.kubernetes.events import describe_event
from backends.kubernetes.failures import NOT_KUBERNETES, KubernetesAnswer, Subject, explain
from backends.kubernetes.owners import find_provenance
from backends.remote import RemoteStore, attempts, name_errors
from rotator.clock import rfc3339
from rotator.errors import (
    ConflictError,
    MalformedTokenError,
    StoreError,
    StoreUnreachableError,
    UnconfirmedWriteError,
)
from rotator.stores.journal import Journal
from rotator.stores.port import (
    Absent,
    Entry,
    FirstRead,
    Provenance,
    StoreEvent,
    StoreUrl,
    parse_moment,
)
from rotator.tokens import ServiceToken

# A page of a list has so many Secrets, which fit into an answer unless they are very large.
_LISTED = "limit=100&fieldSelector=type%21%3Dhelm.sh%2Frelease.v1"
_WORTH = 4  # so many Secrets are listed for each that is wanted
# What a patch says of our key, as base64: nothing leaves it alone, None removes it.
Data = dict[str, str | None]


def open_store(url: StoreUrl) -> "KubernetesStore":
    """Return the store behind a `kubernetes:` URL, without asking the API server.

    Raises `ConfigError`, and `ModuleNotFoundError` where PyYAML is not installed.
    """
    address = KubernetesAddress.parse(url)
    return KubernetesStore(address, share_connection(address.context, url.connections))


@dataclass(frozen=True, slots=True)
class SecretPart:
    """Our part as it stands there, the value as base64.

    A missing Secret has no `resource_version`. One that is being deleted since `ends_at` is gone as
    soon as its last finalizer is.
    """

    encoded: str | None = field(default=None, repr=False)
    journal: str = ""
    resource_version: str | None = None
    is_immutable: bool = False
    ends_at: datetime | None = None
    has_scratch: bool = False
    uid: str | None = None

    @classmethod
    def parse(cls, secret: Any, address: KubernetesAddress) -> "SecretPart":  # noqa: ANN401 - JSON
        """Find our part in an answer; raises `StoreUnreachableError` where it is no Secret."""
        try:
            metadata, data = secret["metadata"], secret.get("data")
            encoded = None if data is None else data.get(address.key)
            base64.b64decode(encoded or "", validate=True)
            annotations = metadata.get("annotations") or {}
            place = metadata.get("name", address.name), metadata.get("namespace", address.namespace)
            deleted_at = metadata.get("deletionTimestamp")
            part = cls(
                encoded,
                str(annotations.get(address.annotation, "")),
                metadata.get("resourceVersion"),  # a dry run that creates has none
                secret.get("immutable") is True,
                parse_moment(deleted_at),
                bool((data or {}).get(address.scratch.key))
                or address.scratch.annotation in annotations,
                metadata.get("uid"),
            )
            is_another = place != (address.name, address.namespace)
            is_another |= deleted_at is not None and part.ends_at is None
        except (KeyError, TypeError, AttributeError, ValueError):
            part, is_another = None, False
        if part is None or is_another or secret.get("kind") != "Secret":
            raise StoreUnreachableError(NOT_KUBERNETES)
        return part

    @property
    def value(self) -> str | None:
        """The text of the value, None where it is empty.

        Text that is no UTF-8 is no token; it must not break a message.
        """
        if not self.encoded:
            return None
        return base64.b64decode(self.encoded).decode("utf-8", "replace")

    @property
    def version(self) -> str:
        """A digest over our part alone, so that other changes of the Secret are no conflict."""
        value = "-" if self.encoded is None else f"={self.encoded}"
        return hashlib.sha256(f"{value}\n{self.journal}".encode("utf-8", "replace")).hexdigest()


class KubernetesStore(RemoteStore):
    def __init__(self, address: KubernetesAddress, connection: Connection) -> None:
        super().__init__(address.canonical)
        self._address = address
        self._connection = connection
        self._folder = f"api/v1/namespaces/{address.namespace}/secrets"
        self._path = f"{self._folder}/{address.name}"

    def read(self) -> Entry | Absent:
        """Return the secret, its version and its journal; needs the right `get`."""
        with name_errors(self.url):
            return _entry_of(self._read())

    def shelf(self) -> Hashable:
        """Return what is the same for all Secrets of a namespace."""
        return self._connection, self._folder

    def read_ahead(self, stores: Sequence[Self], *, may_lag: bool) -> Mapping[str, FirstRead]:  # noqa: ARG002 - this list never lags
        """List the Secrets of the namespace; needs the right `list`, which shows all of them.

        Nothing of the others is kept, and where they are many, the rest is read alone.
        """
        addresses = {each.url: each._address for each in stores}  # noqa: SLF001 - of this class
        found: dict[str, FirstRead] = {each.url: each.read for each in stores}
        wanted: dict[str, list[str]] = {}
        for url, address in addresses.items():
            wanted.setdefault(address.name, []).append(url)
        most = _WORTH * len(wanted)
        with name_errors(self.url):
            for secret in islice(self._list(), most):
                for url in wanted.pop(_name_of(secret), ()):
                    part = SecretPart.parse(secret, addresses[url])
                    found[url] = partial(_entry_of, part)
                if not wanted:
                    break
        return found

    def _list(self) -> Iterator[dict[str, Any]]:
        """Yield the Secrets of the namespace, page by page, without those of Helm, which are large.

        https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
        """
        more = ""
        while True:
            path = f"{self._folder}?{_LISTED}{more}"
            answer = self._connection.ask("GET", path)
            if answer.status != HTTPStatus.OK:
                raise self._explain_list(answer)
            items, metadata = answer.body.get("items"), answer.body.get("metadata") or {}
            if answer.body.get("kind") != "SecretList" or not isinstance(items, list):
                raise StoreUnreachableError(NOT_KUBERNETES)
            for each in items:  # in a list they do not say what they are
                yield {**each, "kind": "Secret"} if isinstance(each, dict) else {}
            token = metadata.get("continue")
            if not items or not token:  # what goes on with nothing may never end
                return
            more = f"&continue={quote(str(token), safe='')}"

    def scratch(self) -> "ScratchKey":
        """Return the scratch place: another key of the same Secret."""
        return ScratchKey(self._address.scratch, self._connection)

    def provenance(self) -> Provenance:
        """Tell who owns the Secret, by its metadata, and when others last wrote our key."""
        with name_errors(self.url):
            answer = self._connection.ask("GET", self._path)
            if answer.status != HTTPStatus.OK or not isinstance(answer.body, dict):
                return Provenance()
            metadata = answer.body.get("metadata")
            return find_provenance(
                metadata if isinstance(metadata, dict) else {}, self._address.key
            )

    def show(self, event: StoreEvent) -> None:
        """Create an Event about the Secret; needs the right to create events in its namespace."""
        with name_errors(self.url):
            part = self._read()
            if part.resource_version is None:  # there is nothing yet that it could be about
                return
            path = f"api/v1/namespaces/{self._address.namespace}/events"
            answer = self._connection.ask(
                "POST", path, describe_event(event, self._address, part.uid)
            )
            if answer.status != HTTPStatus.CREATED:
                raise self._explain_event(answer)

    def preflight(self) -> None:
        """Let the server go through a change with all its checks, as a dry run."""
        with name_errors(self.url):
            self._try_change(self._read(), self._set("x"), "v=1 token=x", dry_run=True)

    def write(self, secret: str, journal: Journal, *, expected: str) -> None:
        """Replace key and annotation in one patch."""
        self._change(self._set(secret), journal.to_text(), expected)

    def note(self, journal: Journal, *, expected: str) -> str:
        """Replace the annotation alone."""
        return self._change({}, journal.to_text(), expected)

    def _read(self) -> SecretPart:
        answer = self._connection.ask("GET", self._path)
        if answer.status == HTTPStatus.OK:
            return SecretPart.parse(answer.body, self._address)
        if answer.reason == "NotFound" and self._address.create:
            return SecretPart()
        raise self._explain(answer, "get")

    def _set(self, secret: str) -> Data:
        return {self._address.key: base64.b64encode(secret.encode()).decode()}

    def _change(self, data: Data, journal: str, expected: str) -> str:
        """Write a journal and this data; return the new version."""
        with self._alone(), name_errors(self.url):
            for _ in attempts():
                part = self._read()
                if part.version != expected:
                    raise ConflictError(
                        f"somebody else changed {self._address.key} since it was read; nothing was"
                        " written: look at it again"
                    )
                changed = self._try_change(part, data, journal)
                if changed:
                    return changed.version
            raise ConflictError(
                "others keep changing this Secret; nothing was written: try again later"
            )

    def _try_change(
        self, part: SecretPart, data: Data, journal: str, *, dry_run: bool = False
    ) -> SecretPart | None:
        """Patch or create the Secret; None where it was changed, created or deleted meanwhile."""
        if part.is_immutable:
            raise StoreError(
                "this Secret is immutable and cannot take a new token: delete it, and create it"
                " again without `immutable: true`"
            )
        if part.ends_at is not None:
            raise StoreError(
                f"this Secret is being deleted since {part.ends_at:%Y-%m-%d %H:%M} UTC, and is gone"
                " with its last finalizer: wait until it is created again, or take it out of"
                " `stores`"
            )
        verb, method, path = "patch", "PATCH", self._path
        if part.resource_version is None:
            verb, method, path = "create", "POST", self._folder
        body = self._build(part, data, journal)
        answer = self._connection.ask(method, path, body, dry_run=dry_run)
        if answer.status in (HTTPStatus.OK, HTTPStatus.CREATED):
            changed = SecretPart.parse(answer.body, self._address)
            self._prove_change(part, changed, data, journal)
            return changed
        is_deleted = verb == "patch" and answer.reason == "NotFound"
        if is_deleted or answer.status == HTTPStatus.CONFLICT:
            return None
        raise self._explain(answer, verb)

    def _prove_change(
        self, before: SecretPart, after: SecretPart, data: Data, journal: str
    ) -> None:
        """Raise `UnconfirmedWriteError` unless the answer shows what was sent.

        Mutating webhooks come between:
        https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/
        """
        sent = data.get(self._address.key, before.encoded)
        changed = None
        if after.encoded != sent:
            changed = f"the value of {self._address.key}"
        elif after.journal != journal:
            changed = f"the annotation {self._address.annotation}, which holds the journal,"
        if changed:
            raise UnconfirmedWriteError(
                f"the cluster changes {changed} or leaves it out: ask who runs its admission rules"
            )

    def _build(self, part: SecretPart, data: Data, journal: str) -> dict[str, Any]:
        """Return the merge patch that names our part alone, or a new Secret where there is none.

        An empty journal is removed. The server refuses the patch
        (409) when the Secret has another `resourceVersion`:
        https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-update
        """
        address = self._address
        body: dict[str, Any] = {}
        if data:
            body["data"] = data
        notes = {
            address.annotation: journal or None,
            address.expiry_annotation: _describe_expiry(data.get(address.key, part.encoded)),
        }
        if part.resource_version is not None:
            body["metadata"] = {"annotations": notes, "resourceVersion": part.resource_version}
            return body
        labels = {"app.kubernetes.io/managed-by": MANAGER}
        annotations = {name: text for name, text in notes.items() if text}
        metadata = {"name": address.name, "labels": labels, "annotations": annotations}
        head = {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata}
        return {**head, **body}

    def _explain_event(self, answer: KubernetesAnswer) -> StoreError:
        role = "a Role with resources: [events], verbs: [create]"
        missing = f"there is no namespace {self._address.namespace}: create it"
        subject = Subject(
            "Event", self._address.namespace, "create", "events", f"grant it {role}", missing
        )
        return explain(answer, subject, self._connection.anonymous)

    def _explain_list(self, answer: KubernetesAnswer) -> StoreError:
        namespace = self._address.namespace
        remedy = "it works without this right, with more requests"
        missing = f"there is no namespace {namespace}: create it"
        subject = Subject("Secret", namespace, "list", "secrets", remedy, missing)
        return explain(answer, subject, self._connection.anonymous)

    def _explain(self, answer: KubernetesAnswer, verb: str) -> StoreError:
        address = self._address
        role = (
            f"a Role with resources: [secrets], verbs: [{'get' if verb == 'get' else 'get, patch'}]"
            f" and resourceNames: [{address.name}]"
        )
        remedy = f"rotate needs get and patch: grant it {role}"
        objects = f'secrets "{address.name}"'
        missing = (
            f"there is no Secret {address.name} in the namespace {address.namespace}, or no such"
            f" namespace: create it, or let the rotator create the Secret with '{address.creating}'"
        )
        if verb == "get":
            remedy = f"grant it {role}"
        elif verb == "create":
            objects, missing = "secrets", f"there is no namespace {address.namespace}: create it"
            remedy = (
                f"rotate needs get, patch and create: grant it {role}, and another rule with"
                " resources: [secrets], verbs: [create]"
            )
        subject = Subject("Secret", address.namespace, verb, objects, remedy, missing)
        return explain(answer, subject, self._connection.anonymous)


def _name_of(secret: Mapping[str, Any]) -> str:
    metadata = secret.get("metadata")
    return str(metadata.get("name", "")) if isinstance(metadata, dict) else ""


def _entry_of(part: SecretPart) -> Entry | Absent:
    journal = Journal.from_text(part.journal)
    if part.value is None:
        return Absent(part.version, journal, part.has_scratch)
    return Entry(part.value, part.version, journal, part.ends_at, part.has_scratch)


def _describe_expiry(encoded: str | None) -> str | None:
    """Return when a value, as base64, expires; None for what is no service token."""
    try:
        expires_at = ServiceToken.parse(base64.b64decode(encoded or "").decode()).expires_at
    except (MalformedTokenError, UnicodeError):
        return None
    return rfc3339(expires_at) if expires_at else "never"


class ScratchKey(KubernetesStore):
    """The scratch place of a rehearsal, in a Secret that is there already."""

    def show(self, event: StoreEvent) -> None:
        """Do nothing: a rehearsal changes nothing that anybody should hear of."""

    def preflight(self) -> None:
        """Prove that it can be written, and that the Secret is there."""
        with name_errors(self.url):
            if self._read().resource_version is None:
                raise StoreError(
                    "cannot be rehearsed: there is no such Secret yet; rotator rotate makes it"
                )
        super().preflight()

    def remove(self, journal: Journal, *, expected: str) -> None:
        """Remove key and annotation in one patch."""
        with name_errors(self.url):
            if self._read().resource_version is None:  # with the whole Secret
                return
        self._change({self._address.key: None}, journal.to_text(), expected)

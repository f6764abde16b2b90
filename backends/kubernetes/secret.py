"""Our part of a Secret – one key and one annotation – as the API shows and takes it."""

import base64
import hashlib
from typing import Any, NamedTuple

from backends.kubernetes.address import Address
from backends.kubernetes.connection import MANAGER
from backends.kubernetes.failures import OddAnswerError, Subject
from rotator.errors import StoreError


class Seen(NamedTuple):
    """What stands there, the value as base64; a missing Secret has no `resource_version`."""

    encoded: str | None
    journal: str
    resource_version: str | None
    immutable: bool

    def __repr__(self) -> str:
        return "Seen(…)"

    @property
    def value(self) -> str | None:
        """The text of the value, None where it is empty.

        What is no UTF-8 is no token, and must not break a message.
        """
        if not self.encoded:
            return None
        return base64.b64decode(self.encoded).decode("utf-8", "replace")

    @property
    def version(self) -> str:
        """A digest over our part alone: what others change beside it is none of our business."""
        value = "-" if self.encoded is None else f"={self.encoded}"
        return hashlib.sha256(f"{value}\n{self.journal}".encode("utf-8", "replace")).hexdigest()


NOTHING = Seen(None, "", None, immutable=False)


def seen_in(secret: Any, address: Address) -> Seen:  # noqa: ANN401 - whatever was answered
    """Find our part in a Secret; raises `OddAnswerError` where it is no Secret."""
    try:
        metadata, data = secret["metadata"], secret.get("data") or {}
        encoded = data.get(address.key)
        base64.b64decode(encoded or "", validate=True)
        annotations = metadata.get("annotations") or {}
        seen = Seen(
            encoded,
            str(annotations.get(address.annotation, "")),
            metadata.get("resourceVersion"),  # of a creation that is a dry run there is none
            immutable=secret.get("immutable") is True,
        )
    except (KeyError, TypeError, AttributeError, ValueError):
        raise OddAnswerError from None
    if secret.get("kind") != "Secret":
        raise OddAnswerError
    return seen


def patch_of(
    address: Address, value: str | None, journal: str, *, resource_version: str | None
) -> dict[str, Any]:
    """Return the merge patch that changes our part and names nothing else.

    A value of None is left alone, an empty journal is removed. With a `resource_version` the server
    refuses (409) where somebody else was faster:
    https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-update
    """
    metadata: dict[str, Any] = {"annotations": {address.annotation: journal or None}}
    if resource_version is not None:
        metadata["resourceVersion"] = resource_version
    return {"metadata": metadata, **_data(address, value)}


def secret_of(address: Address, value: str | None, journal: str) -> dict[str, Any]:
    """Return a new Secret with our part alone."""
    metadata: dict[str, Any] = {
        "name": address.name,
        "labels": {"app.kubernetes.io/managed-by": MANAGER},
    }
    if journal:
        metadata["annotations"] = {address.annotation: journal}
    head = {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata}
    return {**head, **_data(address, value)}


def _data(address: Address, value: str | None) -> dict[str, Any]:
    if value is None:
        return {}
    return {"data": {address.key: base64.b64encode(value.encode()).decode()}}


def subject_of(address: Address, verb: str) -> Subject:
    """Return what messages say of a Secret that was to be got, patched or created."""
    objects = "secrets" if verb == "create" else f'secrets "{address.name}"'
    remedy, missing = _remedy(address, verb), _missing(address, verb)
    return Subject(address.canonical, "Secret", address.namespace, verb, objects, remedy, missing)


def immutable(url: str) -> StoreError:
    """Return the error for a Secret that nobody can change."""
    return StoreError(
        f"{url}: this Secret is immutable and cannot take a new token: delete it, and create it"
        " again without `immutable: true`"
    )


def _remedy(address: Address, verb: str) -> str:
    """Return which Role is needed: for all of a rotation, unless only to look was tried."""
    verbs = "get" if verb == "get" else "get, patch"
    role = f"a Role with resources: [secrets], verbs: [{verbs}] and resourceNames: [{address.name}]"
    if verb == "get":
        return f"grant it {role}"
    if verb == "patch":
        return f"rotate needs get and patch: grant it {role}"
    return (
        f"rotate needs get, patch and create: grant it {role}, and another rule with"
        " resources: [secrets], verbs: [create]"
    )


def _missing(address: Address, verb: str) -> str:
    if verb == "create":
        return f"there is no namespace {address.namespace}: create it"
    return (
        f"there is no Secret {address.name} in the namespace {address.namespace}, or no such"
        f" namespace: create it, or let the rotator create the Secret with '{address.creating}'"
    )

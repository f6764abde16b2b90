"""Our part of a Secret – one key and one annotation – as the API shows and takes it."""

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Any

from backends.kubernetes.address import KubernetesAddress
from backends.kubernetes.connection import MANAGER
from backends.kubernetes.failures import NOT_KUBERNETES, Subject
from rotator.errors import StoreUnreachableError


@dataclass(frozen=True, slots=True)
class SecretPart:
    """Our part as it stands there, the value as base64.

    A missing Secret has no `resource_version`.
    """

    encoded: str | None = field(default=None, repr=False)
    journal: str = ""
    resource_version: str | None = None
    is_immutable: bool = False

    @classmethod
    def parse(cls, secret: Any, address: KubernetesAddress) -> "SecretPart":  # noqa: ANN401 - JSON
        """Find our part in an answer; raises `StoreUnreachableError` where it is no Secret."""
        try:
            metadata, data = secret["metadata"], secret.get("data") or {}
            encoded = data.get(address.key)
            base64.b64decode(encoded or "", validate=True)
            annotations = metadata.get("annotations") or {}
            part = cls(
                encoded,
                str(annotations.get(address.annotation, "")),
                metadata.get("resourceVersion"),  # a dry run that creates has none
                secret.get("immutable") is True,
            )
        except (KeyError, TypeError, AttributeError, ValueError):
            part = None
        if part is None or secret.get("kind") != "Secret":
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


def build_patch(
    address: KubernetesAddress, value: str | None, journal: str, resource_version: str
) -> dict[str, Any]:
    """Return the merge patch that changes our part and names nothing else.

    A value of None is left alone, an empty journal is removed. The server refuses the patch (409)
    when the Secret has another `resource_version`:
    https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-update
    """
    annotations = {address.annotation: journal or None}
    metadata = {"annotations": annotations, "resourceVersion": resource_version}
    return {"metadata": metadata, **_encode(address, value)}


def build_secret(address: KubernetesAddress, value: str | None, journal: str) -> dict[str, Any]:
    """Return a new Secret with our part alone."""
    metadata: dict[str, Any] = {
        "name": address.name,
        "labels": {"app.kubernetes.io/managed-by": MANAGER},
    }
    if journal:
        metadata["annotations"] = {address.annotation: journal}
    head = {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata}
    return {**head, **_encode(address, value)}


def _encode(address: KubernetesAddress, value: str | None) -> dict[str, Any]:
    if value is None:
        return {}
    return {"data": {address.key: base64.b64encode(value.encode()).decode()}}


def describe_request(address: KubernetesAddress, verb: str) -> Subject:
    """Return what messages say of a Secret that was to be got, patched or created."""
    place = f"the namespace {address.namespace}"
    verbs = "get" if verb == "get" else "get, patch"
    role = f"a Role with resources: [secrets], verbs: [{verbs}] and resourceNames: [{address.name}]"
    remedy = f"rotate needs get and patch: grant it {role}"
    objects = f'secrets "{address.name}"'
    missing = (
        f"there is no Secret {address.name} in {place}, or no such namespace: create it, or let the"
        f" rotator create the Secret with '{address.creating}'"
    )
    if verb == "get":
        remedy = f"grant it {role}"
    elif verb == "create":
        objects, missing = "secrets", f"there is no namespace {address.namespace}: create it"
        remedy = (
            f"rotate needs get, patch and create: grant it {role}, and another rule with"
            " resources: [secrets], verbs: [create]"
        )
    return Subject("Secret", address.namespace, verb, objects, remedy, missing)

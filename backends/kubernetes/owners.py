"""Who else writes a Secret, by what controllers leave in its metadata.

https://kubernetes.io/docs/reference/labels-annotations-taints/ and the pages of the controllers.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from backends.kubernetes.connection import MANAGER
from rotator.stores.port import Provenance, parse_moment

# Labels and annotations by their beginning; their value names the owner where that says more.
_MARKS = (
    ("reconcile.external-secrets.io/", "External Secrets", False),
    ("external-secrets.io/", "External Secrets", False),
    ("argocd.argoproj.io/instance", "Argo CD", True),
    ("argocd.argoproj.io/tracking-id", "Argo CD", True),
    ("kustomize.toolkit.fluxcd.io/name", "Flux", True),
    ("helm.toolkit.fluxcd.io/name", "Flux", True),
    ("meta.helm.sh/release-name", "the Helm release", True),
    ("sealedsecrets.bitnami.com/managed", "Sealed Secrets", False),
    ("secrets-store.csi.k8s.io/managed", "the Secrets Store CSI driver", False),
    ("secrets.hashicorp.com/", "the Vault Secrets Operator", False),
    ("reflector.v1.k8s.emberstack.com/reflects", "Reflector", True),
    ("replicator.v1.mittwald.de/replicate-from", "the replicator", True),
    ("kapp.k14s.io/app", "kapp", False),
    ("objectset.rio.cattle.io/", "Fleet", False),
)
_MANAGED_BY = "app.kubernetes.io/managed-by"
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9./:_-]{0,200}")


def find_provenance(metadata: Mapping[str, Any], key: str) -> Provenance:
    """Return who owns a Secret with this metadata, and when others last wrote this key of it."""
    manager, changed_at = _find_writer(metadata, key)
    writer = f"the field manager {manager}" if manager else None
    return Provenance(_find_owner(metadata, key), writer, changed_at)


def _find_owner(metadata: Mapping[str, Any], key: str) -> str | None:
    owners = [each for each in _as_list(metadata.get("ownerReferences")) if isinstance(each, dict)]
    for reference in sorted(owners, key=lambda each: each.get("controller") is not True):
        kind, name = _safe(reference.get("kind")), _safe(reference.get("name"))
        if kind:
            return f"the {kind} {name}" if name else f"a {kind}"
    labels, annotations = _as_map(metadata.get("labels")), _as_map(metadata.get("annotations"))
    for mark, owner, is_named in _MARKS:
        for each, value in {**labels, **annotations}.items():
            if str(each).startswith(mark):
                name = _safe(value) if is_named else None
                return f"{owner} {name}" if name else owner
    managed_by = _safe(labels.get(_MANAGED_BY))
    if managed_by and managed_by != MANAGER:
        return managed_by
    # It repeats the value that was applied, in which only the key's name is looked for.
    if f'"{key}"' in str(annotations.get(_APPLIED, "")):
        return "kubectl apply"
    return None


def _find_writer(metadata: Mapping[str, Any], key: str) -> tuple[str | None, datetime | None]:
    """Return the latest field manager of this key that is not ours, and when it wrote."""
    found = []
    for entry in _as_list(metadata.get("managedFields")):
        fields = _as_map(_as_map(_as_map(entry).get("fieldsV1")).get("f:data"))
        manager = _safe(_as_map(entry).get("manager"))
        if f"f:{key}" in fields and manager and manager != MANAGER:
            found.append((parse_moment(_as_map(entry).get("time")), manager))
    if not found:
        return None, None
    changed_at, manager = max(found, key=lambda each: (each[0] is not None, each[0]))
    return manager, changed_at


def _safe(value: object) -> str | None:
    """Return a name that may stand in a message."""
    return value if isinstance(value, str) and _SAFE.fullmatch(value) else None


def _as_map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []

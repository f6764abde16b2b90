"""Who else writes a Secret, by its metadata."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from backends.kubernetes.owners import find_provenance
from rotator.stores.port import Provenance
from tests.kubernetes.helpers import store_of
from tests.kubernetes.site import KEY, Site

APPLIED = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps({"data": {KEY: "eA=="}})}
OTHERS = {"kubectl.kubernetes.io/last-applied-configuration": '{"data": {"OTHER": "eA=="}}'}


def reference(kind: object, name: object, *, controller: bool = False) -> dict[str, object]:
    return {"kind": kind, "name": name, "controller": controller}


def written(manager: object, time: object, *keys: str) -> dict[str, object]:
    fields: dict[str, object] = {"f:data": {f"f:{key}": {} for key in keys}}
    return {"manager": manager, "time": time, "fieldsV1": fields}


@pytest.mark.parametrize(
    ("metadata", "owner"),
    [
        ({}, None),
        ({"labels": {"app": "luna"}, "annotations": {"team": "moon"}}, None),
        (
            {"ownerReferences": [reference("ExternalSecret", "luna", controller=True)]},
            "the ExternalSecret luna",
        ),
        (
            {"ownerReferences": [reference("A", "a"), reference("B", "b", controller=True)]},
            "the B b",
        ),
        ({"labels": {"reconcile.external-secrets.io/managed": "true"}}, "External Secrets"),
        ({"annotations": {"reconcile.external-secrets.io/data-hash": "x"}}, "External Secrets"),
        ({"labels": {"argocd.argoproj.io/instance": "bots"}}, "Argo CD bots"),
        (
            {"annotations": {"argocd.argoproj.io/tracking-id": "bots:/Secret:bots/luna"}},
            "Argo CD bots:/Secret:bots/luna",
        ),
        ({"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}}, "Flux apps"),
        ({"labels": {"helm.toolkit.fluxcd.io/name": "luna"}}, "Flux luna"),
        ({"annotations": {"meta.helm.sh/release-name": "luna"}}, "the Helm release luna"),
        ({"labels": {"app.kubernetes.io/managed-by": "Helm"}}, "Helm"),
        ({"labels": {"app.kubernetes.io/managed-by": "nocturna-rotator"}}, None),
        ({"annotations": APPLIED}, "kubectl apply"),
        ({"annotations": OTHERS}, None),
        ({"annotations": {"meta.helm.sh/release-name": "\x1b[31m"}}, "the Helm release"),
        ({"labels": None, "annotations": [], "ownerReferences": "x", "managedFields": 1}, None),
        ({"ownerReferences": [None, reference(1, [])]}, None),
    ],
)
def test_what_controllers_leave_names_the_owner(
    metadata: dict[str, Any], owner: str | None
) -> None:
    assert find_provenance(metadata, KEY).owner == owner


def test_the_latest_other_writer_of_the_key_is_named_with_its_time() -> None:
    entries = [
        written("external-secrets", "2026-11-23T10:00:00Z", KEY),
        written("kubectl-patch", "2026-11-22T10:00:00Z", KEY),
        written("nocturna-rotator", "2026-11-23T11:00:00Z", KEY),
        written("somebody", "2026-11-23T12:00:00Z", "OTHER"),
        written("\n", "2026-11-23T12:00:00Z", KEY),
        written("undated", None, KEY),
        None,
        {"manager": "x", "fieldsV1": []},
    ]
    changed_at = datetime(2026, 11, 23, 10, tzinfo=UTC)
    assert find_provenance({"managedFields": entries}, KEY) == Provenance(
        None, "the field manager external-secrets", changed_at
    )


def test_a_store_asks_the_cluster_for_it(site: Site) -> None:
    assert store_of(site).provenance().owner is None
    site.patch({"metadata": {"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}}})
    assert store_of(site).provenance().owner == "Flux apps"
    site.delete()
    assert store_of(site).provenance() == Provenance()

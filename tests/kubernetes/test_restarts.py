"""Restarts of workloads; with a real cluster too, which replaces pods where the stand-in counts."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from backends.kubernetes.address import KubernetesAddress
from backends.kubernetes.connection import Connection
from backends.kubernetes.workloads import REPEATABLE, KubernetesWorkloads
from rotator.errors import StoreDeniedError, StoreUnreachableError
from rotator.stores.port import parse_url
from tests.kubernetes.helpers import NOWHERE
from tests.kubernetes.plant import KINDS, NAME, Plant
from tests.kubernetes.site import NOBODY, ROTATOR, Site

OURS = "nocturna-rotator/token.luna"


def workloads(
    site: Site,
    account: str = ROTATOR,
    variables: Mapping[str, str] | None = None,
) -> KubernetesWorkloads:
    beside = KubernetesAddress.parse(parse_url(site.store_url, Path()))
    found = variables or site.variables(site.upstream, account)
    connection = Connection(None, found, repeatable=REPEATABLE, service_account=NOWHERE)
    return KubernetesWorkloads(beside, connection)


@pytest.fixture
def plant(site: Site) -> Plant:
    plant = Plant(site)
    plant.build()
    return plant


@pytest.mark.parametrize("kind", KINDS)
def test_pods_are_replaced_once_for_each_state_of_a_token(site: Site, kind: str) -> None:
    plant = Plant(site, kind)
    plant.build()
    before = plant.spec()
    seen = [plant.generation()]
    for state in ("id-1/a", "id-1/a", "id-1/b", "id-2/b", "id-2/b"):
        workloads(site).restart(f"{kind}/{NAME}", {"luna": state})
        seen.append(plant.generation())
    assert seen == [1, 2, 2, 3, 4, 4]
    assert plant.annotations() == {"example.com/owner": "luna's people", OURS: "id-2/b"}
    assert plant.spec() == before


def test_two_tokens_of_one_workload_do_not_undo_each_other(site: Site, plant: Plant) -> None:
    for _ in range(2):
        for token in ("luna", "sol"):
            workloads(site).restart(f"deployment/{NAME}", {token: f"id-of-{token}/a"})
    assert plant.generation() == 3
    assert len(plant.annotations()) == 3


@pytest.mark.parametrize("token", ["a" * 57, "a" * 58, "a" * 64, "a-", "a.b_c.", "A"])
def test_every_name_of_a_token_fits_into_an_annotation(
    site: Site, plant: Plant, token: str
) -> None:
    workloads(site).restart(plant.name, {token: "id/a"})
    [ours] = plant.annotations().keys() - {"example.com/owner"}
    assert len(ours) <= len("nocturna-rotator/") + 63
    assert (ours == f"nocturna-rotator/token.{token}") == (len(token) <= 57 and token[-1].isalnum())


def test_who_may_not_is_told_which_right_is_missing(site: Site, plant: Plant) -> None:
    with pytest.raises(StoreDeniedError) as caught:
        workloads(site, NOBODY).restart(f"deployment/{NAME}", {"luna": "id/a"})
    assert str(caught.value) == (
        f"{plant.name}: user system:serviceaccount:{site.namespace}:nobody may not patch"
        f' deployments "luna-bot" in the namespace {site.namespace}: grant it a Role with'
        " apiGroups: [apps], resources: [deployments], verbs: [patch] and resourceNames: [luna-bot]"
    )
    assert plant.generation() == 1


def test_the_right_is_one_to_patch_this_workload_and_no_other(site: Site, plant: Plant) -> None:
    for other in (f"statefulset/{NAME}", "deployment/other"):
        with pytest.raises(StoreDeniedError, match="grant it a Role"):
            workloads(site).restart(other, {"luna": "id/a"})
    assert plant.generation() == 1


def test_a_workload_that_is_not_there_is_named(site: Site, plant: Plant) -> None:
    plant.remove()
    with pytest.raises(StoreUnreachableError) as caught:
        workloads(site).restart(f"deployment/{NAME}", {"luna": "id/a"})
    assert str(caught.value) == (
        f"{plant.name}: there is no Deployment luna-bot in the namespace {site.namespace}, or no"
        " such namespace: create it, or correct `restart`"
    )

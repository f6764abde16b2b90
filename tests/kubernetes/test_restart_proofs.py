"""The proof that a workload can be restarted: a dry run, after which all is as it was."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rotator.cli.doctor.findings import Finding
from rotator.cli.doctor.gather import examine
from rotator.clock import utc_now
from rotator.config.loader import load_settings
from rotator.errors import StoreDeniedError, StoreError, StoreUnreachableError
from tests.kubernetes.apiserver import ApiServer, Fault
from tests.kubernetes.plant import KINDS, NAME, Plant
from tests.kubernetes.site import NOBODY, ROTATOR, Site
from tests.kubernetes.test_answers import status
from tests.kubernetes.test_restarts import OURS, workloads
from tests.kubernetes.test_restarts_without_effect import KEPT, deployment
from tests.support.sandbox import Sandbox


@pytest.mark.parametrize("kind", KINDS)
def test_a_proof_replaces_no_pod_and_leaves_no_trace(site: Site, kind: str) -> None:
    plant = Plant(site, kind)
    plant.build()
    before = plant.spec()
    workloads(site).preflight(f"{kind}/{NAME}", "luna")
    assert plant.generation() == 1
    assert OURS not in plant.annotations()
    workloads(site).restart(f"{kind}/{NAME}", {"luna": "id/a"})
    workloads(site).preflight(f"{kind}/{NAME}", "luna")
    assert plant.generation() == 2
    assert plant.annotations()[OURS] == "id/a"
    assert plant.spec() == before


def test_a_proof_is_the_patch_of_a_restart_as_a_dry_run(site: Site, stand_in: ApiServer) -> None:
    plant = Plant(site)
    plant.build()
    before = len(stand_in.requests)
    workloads(site).preflight(plant.name, "luna")
    workloads(site).restart(plant.name, {"luna": "preflight"})
    proof, restart = stand_in.requests[before:]
    assert proof.path == f"{restart.path}&dryRun=All"
    assert proof._replace(path="") == restart._replace(path="")


def unproven(site: Site, plant: Plant, account: str = ROTATOR) -> StoreError:
    with pytest.raises(StoreError) as caught:
        workloads(site, account).preflight(plant.name, "luna")
    return caught.value


def test_who_may_not_restart_is_told_which_right_is_missing(site: Site) -> None:
    plant = Plant(site)
    plant.build()
    error = unproven(site, plant, NOBODY)
    assert isinstance(error, StoreDeniedError)
    assert str(error) == (
        f"{plant.name}: user system:serviceaccount:{site.namespace}:nobody may not patch"
        f' deployments "luna-bot" in the namespace {site.namespace}: grant it a Role with'
        " apiGroups: [apps], resources: [deployments], verbs: [patch] and resourceNames: [luna-bot]"
    )


def test_a_workload_that_is_not_there_cannot_be_restarted(site: Site) -> None:
    plant = Plant(site)
    error = unproven(site, plant)
    assert isinstance(error, StoreUnreachableError)
    assert str(error).startswith(f"{plant.name}: there is no Deployment luna-bot in the namespace")


@pytest.mark.parametrize(
    ("kind", "more", "why"),
    [
        ("deployment", {"paused": True}, "it is paused: kubectl rollout resume"),
        ("daemonset", {"updateStrategy": {"type": "OnDelete"}}, "its updateStrategy is OnDelete"),
    ],
)
def test_pods_that_would_stay_are_told(
    site: Site, kind: str, more: dict[str, object], why: str
) -> None:
    plant = Plant(site, kind)
    plant.build(**more)
    assert f"{KEPT} {why}" in str(unproven(site, plant))
    assert plant.generation() == 1


def test_a_cluster_that_would_drop_the_annotation_is_told(site: Site, stand_in: ApiServer) -> None:
    plant = Plant(site)
    plant.build()
    stand_in.faults.append(deployment({}))
    assert "the cluster left the annotation" in str(unproven(site, plant))


def test_a_proof_is_sent_again_where_the_server_falters(site: Site, stand_in: ApiServer) -> None:
    plant = Plant(site)
    plant.build()
    stand_in.faults.extend([status(500), Fault(503)])
    workloads(site).preflight(plant.name, "luna")
    assert not stand_in.faults
    assert plant.generation() == 1


@pytest.fixture
def diagnose(
    site: Site, api: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], list[Finding]]:
    """Return what lets the doctor look at a token with a restart."""
    site.put(api.issue(days=60))
    monkeypatch.setenv("KUBECONFIG", site.variables(site.upstream)["KUBECONFIG"])
    toml = (
        f'[api]\nurl = "{api.url}"\nadmin_email = "{api.admin_email}"\n'
        f'[[token]]\nname = "luna"\nstores = ["{site.store_url}"]\n'
        f'restart = ["deployment/{NAME}"]\n'
    )
    (tmp_path / "rotator.toml").write_text(toml)

    def diagnose() -> list[Finding]:
        variables = {"NOCTURNA_ADMIN_PASSWORD": api.admin_password}
        return examine(load_settings(None, variables, tmp_path), (), utc_now, {})

    return diagnose


def test_the_doctor_proves_restarts_and_changes_nothing(
    site: Site, diagnose: Callable[[], list[Finding]]
) -> None:
    plant = Plant(site)
    [missing] = [each for each in diagnose() if each.topic == "restarts"]
    assert missing.result == "problem"
    assert missing.message.startswith(f"restart of {plant.name}: there is no Deployment luna-bot")
    plant.build()
    found = diagnose()
    assert {each.result for each in found} == {"ok"}
    [proven] = [each for each in found if each.topic == "restarts"]
    assert proven.message == f"deployment/{NAME} can be restarted"
    assert plant.generation() == 1
    assert OURS not in plant.annotations()

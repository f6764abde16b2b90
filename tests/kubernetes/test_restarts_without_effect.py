"""Restarts that are refused, or that no pod follows: each is told in one line, with what to do."""

import json
from collections.abc import Mapping

import pytest

from rotator.errors import StoreDeniedError, StoreError, StoreUnreachableError
from tests.kubernetes.apiserver import ApiServer, Fault
from tests.kubernetes.plant import NAME, Plant
from tests.kubernetes.site import Site
from tests.kubernetes.test_answers import SECRET, status, webhook
from tests.kubernetes.test_restarts import OURS, workloads

STATE = "id/a"
KEPT = "its pods go on with the secret that they read, since"


def told_by(site: Site, plant: Plant, kind: type[StoreError]) -> str:
    with pytest.raises(kind) as caught:
        workloads(site).restart(f"{plant.kind}/{NAME}", {"luna": STATE})
    text = str(caught.value)
    assert type(caught.value) is kind
    assert text.isprintable()
    assert text.startswith(f"{plant.name}: ")
    assert SECRET not in text
    assert caught.value.__suppress_context__ or not caught.value.__context__
    return text.removeprefix(f"{plant.name}: ")


def test_a_deployment_that_is_paused_fails_until_it_is_resumed(site: Site) -> None:
    plant = Plant(site)
    plant.build(paused=True)
    for _ in range(2):
        assert told_by(site, plant, StoreError) == (
            f"{KEPT} it is paused: kubectl rollout resume deployment/luna-bot -n {site.namespace}"
        )
    plant.patch({"paused": False})
    resumed = plant.generation()
    workloads(site).restart(plant.name, {"luna": STATE})
    assert plant.generation() == resumed
    assert plant.annotations()[OURS] == STATE


@pytest.mark.parametrize("kind", ["statefulset", "daemonset"])
def test_pods_that_only_their_deletion_replaces_are_told(site: Site, kind: str) -> None:
    plant = Plant(site, kind)
    plant.build(updateStrategy={"type": "OnDelete"})
    assert told_by(site, plant, StoreError) == (
        f"{KEPT} its updateStrategy is OnDelete: make that RollingUpdate, or take it out of"
        " `restart` and delete the pods by hand"
    )


def deployment(annotations: Mapping[str, str]) -> Fault:
    template = {"metadata": {"annotations": annotations}}
    body = {"kind": "Deployment", "spec": {"template": template}}
    return Fault(200, json.dumps(body).encode())


ODD = "what answers is no Kubernetes API server"


@pytest.mark.sample(8)
@pytest.mark.parametrize(
    ("faults", "kind", "told"),
    [
        ([status(401, "Unauthorized")] * 2, StoreDeniedError, "renew the token or certificate"),
        (
            [status(403, "Forbidden", webhook("policy.example"))],
            StoreDeniedError,
            "this Deployment (403) by the admission webhook policy.example: try it with kubectl",
        ),
        (
            [status(403, "Forbidden", f'User "{SECRET}" cannot patch resource "deployments"')],
            StoreDeniedError,
            'user may not patch deployments "luna-bot"',
        ),
        ([status(422, "Invalid")], StoreError, "the change was refused (422): try it with kubectl"),
        (
            [status(422, "Invalid", "Too long: must have at most")],
            StoreError,
            "the Deployment has become too large",
        ),
        ([status(429, "TooManyRequests")] * 3, StoreUnreachableError, "answered 429: try again"),
        ([status(500, "InternalError")] * 3, StoreUnreachableError, "answered 500: try again"),
        ([Fault(503, b"<html>")] * 3, StoreUnreachableError, "answered 503: try again"),
        ([Fault(404, b"<html>")], StoreUnreachableError, ODD),
        ([Fault(302, b"", {"Location": "http://127.0.0.1:9/"})], StoreUnreachableError, ODD),
        ([Fault(200, b"<html>")], StoreUnreachableError, ODD),
        ([Fault(200, b"[]")], StoreUnreachableError, ODD),
        ([Fault(200, b"{}")], StoreUnreachableError, ODD),
        ([Fault(200, b'{"kind": "Deployment", "spec": []}')], StoreUnreachableError, ODD),
        (
            [Fault(200, b'{"kind": "Pod", "spec": {"template": {"metadata": {}}}}')],
            StoreUnreachableError,
            ODD,
        ),
        ([deployment({})], StoreError, f"the cluster left the annotation {OURS} out: ask"),
        ([deployment({OURS: "id/b"})], StoreError, f"the cluster left the annotation {OURS} out"),
    ],
)
def test_an_answer_that_is_no_restart_is_told_with_what_to_do(
    site: Site, stand_in: ApiServer, faults: list[Fault], kind: type[StoreError], told: str
) -> None:
    plant = Plant(site)
    plant.build()
    stand_in.faults.extend(faults)
    assert told in told_by(site, plant, kind)
    assert not stand_in.faults
    assert plant.generation() == 1


def test_a_restart_is_sent_again_at_once_where_the_server_falters(
    site: Site, stand_in: ApiServer
) -> None:
    plant = Plant(site)
    plant.build()
    stand_in.faults.extend([status(500), Fault(503)])
    workloads(site).restart(plant.name, {"luna": STATE})
    assert plant.generation() == 2


def test_a_restart_names_our_annotation_and_nothing_else(site: Site, stand_in: ApiServer) -> None:
    plant = Plant(site)
    plant.build()
    before = len(stand_in.requests)
    workloads(site).restart(plant.name, {"luna": STATE})
    [sent] = stand_in.requests[before:]
    assert (sent.method, sent.content_type) == ("PATCH", "application/merge-patch+json")
    assert sent.body == {"spec": {"template": {"metadata": {"annotations": {OURS: STATE}}}}}


def test_no_log_of_a_restart_holds_the_credentials(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    plant = Plant(site)
    with caplog.at_level("DEBUG"):
        told_by(site, plant, StoreUnreachableError)
    assert "urllib3" in caplog.text
    assert site.token() not in caplog.text
    assert site.token() not in repr(vars(workloads(site)))

"""What the pods run, run here: their arguments and files, with the rights of their Roles alone."""

import time
from collections.abc import Iterator

import pytest

from tests.helm.chart import Chart, Object
from tests.helm.place import NAMES, Place
from tests.kubernetes.cluster import Cluster, running
from tests.support.process import Result, Runner
from tests.support.sandbox import Sandbox

_PATIENCE = 100  # tenths of a second: roles take their time in a real cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with running() as cluster:
        yield cluster


@pytest.fixture
def place(cluster: Cluster, rotator: Runner, api: Sandbox) -> Iterator[Place]:
    place = Place(cluster, rotator, api)
    try:
        place.open()
        yield place
    finally:
        place.close()


def settled(place: Place, pod: Object) -> Result:
    """Run until the Roles have reached the cluster's authorizer; `doctor` changes nothing."""
    for _ in range(_PATIENCE):
        if (result := place.run(pod)).status == 0:
            break
        time.sleep(0.1)
    return result


def test_the_pods_of_a_fleet_renew_every_token_once_and_restart_the_bot(
    chart: Chart, place: Place, api: Sandbox
) -> None:
    tokens: list[dict[str, object]] = [
        {"name": name, "stores": [f"kubernetes://{place.bots}/{name}"]} for name in NAMES
    ]
    tokens[0]["restart"] = ["deployment/luna"]
    manifests = chart.render(
        f"--namespace={place.release}",
        "kind-fleet",
        fleet={"shards": 2},
        config={"api": {"url": api.url, "allow_insecure_http": True}, "tokens": tokens},
    )
    place.install(manifests)
    pods = dict(manifests.pods())
    doctor = settled(place, pods["rotator-test-doctor"])
    assert doctor.status == 0, doctor
    assert place.run(pods["rotator-test-check"]).status == 2  # there is no token yet

    runs = [place.run(pods["rotator"], index) for index in range(2)]
    assert [each.status for each in runs] == [0, 0], runs
    assert len(api.live_tokens()) == len(NAMES)
    assert all(api.accepts(place.token(name)) for name in NAMES)
    assert list(place.annotations()) == ["nocturna-rotator/token.luna"]
    assert place.run(pods["rotator-test-check"]).status == 0

    before = {name: place.token(name) for name in NAMES}
    assert [place.run(pods["rotator-force"], index).status for index in range(2)] == [0, 0]
    assert len(api.live_tokens()) == 2 * len(NAMES)
    assert all(before[name] != place.token(name) for name in NAMES)


def test_helm_test_rehearses_a_rotation_with_the_rights_of_the_pods(
    chart: Chart, place: Place, api: Sandbox
) -> None:
    tokens = [{"name": name, "stores": [f"kubernetes://{place.bots}/{name}"]} for name in NAMES[:2]]
    manifests = chart.render(
        f"--namespace={place.release}",
        "kind-cronjob",
        config={
            "api": {"url": api.url, "allow_insecure_http": True},
            "defaults": {"rehearse": True},
            "tokens": tokens,
        },
    )
    place.install(manifests)
    doctor = settled(place, dict(manifests.pods())["rotator-test-doctor"])
    assert doctor.status == 0, doctor
    assert doctor.out.count("rehearsed – ") == len(tokens)
    assert len(api.tokens) >= len(tokens)
    assert api.live_tokens() == []
    assert [place.token(name) for name in NAMES[:2]] == ["", ""]

"""Where a workload is looked for: as the setting says, beside the store, or where kubectl looks."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from backends.kubernetes.address import KubernetesAddress
from backends.kubernetes.connection import Connection
from backends.kubernetes.workloads import KubernetesWorkloads
from rotator.config.settings import TokenSettings
from rotator.errors import StoreUnreachableError
from rotator.hooks.restarts import Restarts
from rotator.stores.port import parse_url
from tests.kubernetes.apiserver import ApiServer
from tests.kubernetes.certificates import server_tls
from tests.kubernetes.cluster import write_kubeconfig
from tests.kubernetes.helpers import NOWHERE
from tests.kubernetes.serving import serving
from tests.kubernetes.site import Site

BESIDE = "kubernetes://bots/luna"


def looked_at(
    server: ApiServer,
    workload: str,
    variables: Mapping[str, str],
    beside: str | None = None,
    service_account: Path = NOWHERE,
) -> str:
    """Return which workload was asked for; there is none."""
    address = KubernetesAddress.parse(parse_url(beside, NOWHERE)) if beside else None
    context = address.context if address else None
    connection = Connection(context, variables, service_account=service_account)
    workloads = KubernetesWorkloads(address, connection)
    with pytest.raises(StoreUnreachableError, match="there is no "):
        workloads.restart(workload, {"luna": "id/a"})
    path = server.requests[-1].path.partition("?")[0]
    return path.removeprefix("/apis/apps/v1/namespaces/")


class Home:
    """Writes the kubeconfig of an admin."""

    def __init__(self, folder: Path, site: Site, server: ApiServer) -> None:
        self.server = server
        self._path = folder / "config"
        self._upstream = site.upstream

    def __call__(self, **context: object) -> dict[str, str]:
        write_kubeconfig(self._path, self._upstream, {"token": self.server.admin_token})
        config = json.loads(self._path.read_text())
        config["contexts"][0]["context"].update(context)
        self._path.write_text(json.dumps(config))
        return {"KUBECONFIG": str(self._path)}


@pytest.fixture
def at_home(site: Site, stand_in: ApiServer, tmp_path: Path) -> Home:
    return Home(tmp_path, site, stand_in)


@pytest.mark.parametrize(
    ("asked", "namespace", "found"),
    [
        (("deployment/a", BESIDE), "prod", "bots/deployments/a"),
        (("x/statefulset/a.b", BESIDE), "prod", "x/statefulsets/a.b"),
        (("deployment/deployment/a", BESIDE), None, "deployment/deployments/a"),
        (("daemonset/a", None), "prod", "prod/daemonsets/a"),
        (("daemonset/a", None), None, "default/daemonsets/a"),
        (("x/daemonset/a", None), "prod", "x/daemonsets/a"),
    ],
)
def test_the_namespace_is_the_named_one_or_that_of_the_store_or_of_the_context(
    at_home: Home, asked: tuple[str, str | None], namespace: str | None, found: str
) -> None:
    workload, beside = asked
    assert looked_at(at_home.server, workload, at_home(namespace=namespace), beside) == found


def test_the_context_is_that_of_the_store(
    at_home: Home, stand_in: ApiServer, tmp_path: Path
) -> None:
    here = at_home()
    other = tmp_path / "other"
    other.write_text(Path(here["KUBECONFIG"]).read_text().replace('"here"', '"there"'))
    path = write_kubeconfig(tmp_path / "current", "http://127.0.0.1:9", {"token": "t"})
    variables = {"KUBECONFIG": f"{path}:{other}"}
    found = looked_at(stand_in, "deployment/a", variables, f"{BESIDE}?context=there")
    assert found == "bots/deployments/a"
    assert stand_in.requests[-1].token == stand_in.admin_token


@pytest.mark.parametrize(("namespace", "found"), [("prod\n", "prod"), (None, "default")])
def test_inside_a_pod_the_namespace_is_that_of_the_pod(
    stand_in: ApiServer, keys: Path, tmp_path: Path, namespace: str | None, found: str
) -> None:
    shutil.copy(keys / "own.crt", tmp_path / "ca.crt")
    (tmp_path / "token").write_text(stand_in.admin_token)
    if namespace:
        (tmp_path / "namespace").write_text(namespace)
    with serving(stand_in, server_tls(keys, "own", trusted="own")) as door:
        host, _, port = door.removeprefix("https://").partition(":")
        variables = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
        asked = looked_at(stand_in, "deployment/a", variables, service_account=tmp_path)
    assert asked == f"{found}/deployments/a"


@pytest.mark.parametrize("namespace", ["../../../x", "Prod", "a/b", 5.5, "x" * 64])
def test_a_namespace_that_is_none_is_not_asked_for(
    at_home: Home, stand_in: ApiServer, namespace: object
) -> None:
    connection = Connection(None, at_home(namespace=namespace), service_account=NOWHERE)
    workloads = KubernetesWorkloads(None, connection)
    before = len(stand_in.requests)
    with pytest.raises(StoreUnreachableError) as caught:
        workloads.restart("deployment/a", {"luna": "id/a"})
    assert str(caught.value) == (
        "deployment/a: the namespace that the kubeconfig or the pod names is no name of one:"
        " correct it, or write NAMESPACE/KIND/NAME"
    )
    assert len(stand_in.requests) == before


def test_tokens_that_name_one_workload_in_two_ways_mean_the_same() -> None:
    def located(workload: str, *stores: str) -> object:
        return Restarts(TokenSettings("luna", "test", stores)).locate(workload)

    assert located("deployment/a", BESIDE) == located("bots/deployment/a", "dotenv:.env")
    assert located("deployment/a", BESIDE) == located("deployment/a", "kubernetes://bots/sol#KEY")
    assert located("deployment/a", BESIDE) != located("deployment/a", "kubernetes://others/luna")
    assert located("deployment/a", BESIDE) != located("deployment/a", f"{BESIDE}?context=prod")
    assert located("deployment/a", BESIDE) != located("statefulset/a", BESIDE)

"""An API server that is not reached, or does not know us: where it was looked for, and as whom."""

import socket
from pathlib import Path

import pytest

from backends.kubernetes.failures import NOT_KUBERNETES
from backends.kubernetes.kubeconfig import ClusterAccess, find_access
from backends.kubernetes.login import describe_failure
from rotator.errors import StoreDeniedError, StoreUnreachableError
from rotator.http.failures import Failure, FailureKind
from tests.kubernetes.apiserver import ApiServer
from tests.kubernetes.cluster import write_kubeconfig
from tests.kubernetes.helpers import opened, store_of
from tests.kubernetes.site import Site
from tests.kubernetes.test_answers import status

CHECK = (
    "check `server` of the kubeconfig, the proxy if there is one, and the network, and try again"
)


def test_a_server_that_is_not_there_is_told_with_its_address(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"https://127.0.0.1:{free.getsockname()[1]}"
    path = write_kubeconfig(tmp_path / "config", address, {"token": "t"})
    store = opened("kubernetes://bots/luna", {"KUBECONFIG": str(path)})
    with pytest.raises(StoreUnreachableError) as caught:
        store.read()
    assert str(caught.value) == (
        f"{store.url}: the API server {address} cannot be reached (connection refused): {CHECK}"
    )


@pytest.mark.parametrize(
    ("kind", "never_sent", "told"),
    [
        (FailureKind.UNKNOWN_HOST, True, "cannot be reached (no such host)"),
        (FailureKind.PROXY, True, "cannot be reached (the proxy does not let us through)"),
        (FailureKind.TIMEOUT, True, "cannot be reached (no connection in time)"),
        (FailureKind.TIMEOUT, False, "does not answer in time"),
        (FailureKind.BROKEN, True, "cannot be reached (No way there)"),
        (FailureKind.BROKEN, False, "broke the connection off"),
    ],
)
def test_each_way_of_not_getting_there_is_told_apart(
    kind: FailureKind, told: str, *, never_sent: bool
) -> None:
    failure = Failure(kind, never_sent, "No way there")
    access = ClusterAccess({"server": "https://one.example:6443/"}, {}, "the kubeconfig x")
    assert describe_failure(failure, access) == (
        f"the API server https://one.example:6443 {told}: {CHECK}"
    )


@pytest.mark.parametrize("kind", FailureKind)
def test_in_a_pod_nobody_is_sent_to_a_kubeconfig(tmp_path: Path, kind: FailureKind) -> None:
    (tmp_path / "token").write_text("t")
    in_pod = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    access = find_access(in_pod, None, tmp_path)
    told = describe_failure(Failure(kind, never_sent=True, detail="No way there"), access)
    assert "https://10.0.0.1:443" in told or told == NOT_KUBERNETES
    assert "proxy" in told
    assert "of the kubeconfig" not in told.removesuffix(NOT_KUBERNETES)


def test_a_user_without_credentials_is_told_that_it_has_none(site: Site, tmp_path: Path) -> None:
    path = write_kubeconfig(tmp_path / "config", site.upstream, {})
    with pytest.raises(StoreDeniedError) as caught:
        opened(site.store_url, {"KUBECONFIG": str(path)}).read()
    told = f"the user in the kubeconfig {path} has none: give it a token, a certificate or an exec"
    assert told in str(caught.value)


def test_whom_the_server_takes_for_anybody_is_not_told_to_grant_anybody_a_role(
    site: Site, stand_in: ApiServer, tmp_path: Path
) -> None:
    anybody = 'secrets "luna" is forbidden: User "system:anonymous" cannot get resource "secrets"'
    stand_in.faults.append(status(403, "Forbidden", anybody))
    with pytest.raises(StoreDeniedError, match=r"not accept these credentials \(403\): renew"):
        store_of(site).read()
    stand_in.faults.append(status(403, "Forbidden", anybody))
    path = write_kubeconfig(tmp_path / "config", site.upstream, {})
    with pytest.raises(StoreDeniedError, match=r"wants credentials \(403\), and the user in"):
        opened(site.store_url, {"KUBECONFIG": str(path)}).read()

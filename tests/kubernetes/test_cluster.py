"""The way to a real cluster, which has TLS and admins with certificates; a stand-in is at its end.

With `ROTATOR_TEST_KUBECONFIG` all tests go this way. Here it is kept from breaking unnoticed.
"""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from rotator.errors import StoreDeniedError
from rotator.stores.journal import Journal
from rotator.stores.port import Entry
from tests.kubernetes.apiserver import ApiServer, Fault
from tests.kubernetes.certificates import server_tls
from tests.kubernetes.cluster import Cluster, running, write_kubeconfig
from tests.kubernetes.helpers import opened, store_of
from tests.kubernetes.serving import serving
from tests.kubernetes.site import NOBODY, Site


@pytest.fixture
def server() -> ApiServer:
    return ApiServer()


@pytest.fixture
def distant(server: ApiServer, keys: Path, tmp_path: Path) -> Iterator[Cluster]:
    """A cluster whose certificate is for another name than its address, as behind a tunnel."""

    def data(file: str) -> str:
        return base64.b64encode(Path(keys, file).read_bytes()).decode()

    user = {"client-certificate-data": data("admin.crt"), "client-key-data": data("admin.key")}
    named = {"certificate-authority-data": data("other.crt"), "tls-server-name": "other.example"}
    with serving(server, server_tls(keys, "other", trusted="admin")) as url:
        path = write_kubeconfig(tmp_path / "admin", url, user, **named)
        with running(str(path)) as cluster:
            yield cluster


def test_accounts_go_through_a_door_that_has_no_rights_of_its_own(
    distant: Cluster, server: ApiServer, tmp_path: Path
) -> None:
    site = Site(distant, tmp_path)
    store_of(site).write("new", Journal(), expected=store_of(site).read().version)
    read = store_of(site).read()
    assert isinstance(read, Entry)
    assert read.secret == site.secret() == "new"
    with pytest.raises(StoreDeniedError):
        opened(site.store_url, site.variables(site.upstream, NOBODY)).read()
    assert not [each for each in server.requests if each.token and each.common_name]
    site.close()


def test_a_role_may_take_its_time(distant: Cluster, server: ApiServer, tmp_path: Path) -> None:
    server.faults.extend([Fault(403, method="GET")] * 3)
    store_of(Site(distant, tmp_path)).read()
    assert not server.faults

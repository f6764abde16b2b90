import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kubernetes.apiserver import ADMIN, ApiServer
from tests.kubernetes.certificates import make
from tests.kubernetes.cluster import REAL, Cluster, running
from tests.kubernetes.site import Site


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with running() as cluster:
        yield cluster


@pytest.fixture
def site(cluster: Cluster, tmp_path: Path) -> Iterator[Site]:
    site = Site(cluster, tmp_path)
    yield site
    site.close()


@pytest.fixture
def vacant(cluster: Cluster, tmp_path: Path) -> Iterator[Site]:
    """Where the Secret is missing and may be created."""
    site = Site(cluster, tmp_path, missing=True)
    yield site
    site.close()


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with self-signed certificates: for 127.0.0.1, for another host, and an admin's."""
    if not shutil.which("openssl"):
        pytest.skip("needs the openssl command for a certificate")
    folder = tmp_path_factory.mktemp("keys")
    make(folder, "own", "rotator-test", "IP:127.0.0.1")
    make(folder, "other", "rotator-test", "DNS:other.example")
    make(folder, "admin", ADMIN, "DNS:admin.example")
    return folder


@pytest.fixture
def stand_in(cluster: Cluster) -> Iterator[ApiServer]:
    """The stand-in itself: what asks for it cannot be tested with a real cluster."""
    if REAL:
        pytest.skip("needs the stand-in")
    yield cluster.stand_in
    cluster.stand_in.faults.clear()
    cluster.stand_in.webhook = None

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kubernetes.apiserver import ApiServer
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


@pytest.fixture
def stand_in(cluster: Cluster) -> Iterator[ApiServer]:
    """The stand-in itself: what asks for it cannot be tested with a real cluster."""
    if REAL:
        pytest.skip("needs the stand-in")
    yield cluster.stand_in
    cluster.stand_in.faults.clear()

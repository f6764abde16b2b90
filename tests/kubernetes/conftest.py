import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from rotator import wiring
from rotator.clock import utc_now
from rotator.config.loader import load_settings
from rotator.rotation.policy import RotateOptions
from rotator.rotation.report import Report
from rotator.wiring import requirements
from tests.kubernetes.apiserver import ADMIN, ApiServer
from tests.kubernetes.certificates import make
from tests.kubernetes.cluster import REAL, Cluster, running
from tests.kubernetes.helpers import Rotate
from tests.kubernetes.site import Site
from tests.support.sandbox import Sandbox


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
def rotate(site: Site, api: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rotate:
    """Return what rotates all tokens of a config as far as they are due."""
    monkeypatch.setenv("KUBECONFIG", site.variables(site.upstream)["KUBECONFIG"])
    (tmp_path / "password").write_text(api.admin_password)
    head = f'[api]\nurl = "{api.url}"\nadmin_email = "{api.admin_email}"\n'
    head += 'admin_password_file = "password"\n[defaults]\nretire = "now"\n'

    def rotate(tokens: str) -> list[Report]:
        (tmp_path / "rotator.toml").write_text(head + tokens)
        settings = load_settings(None, {}, tmp_path)
        requirements.require_restarts(settings)
        rotations = wiring.build_rotations(settings, (), utc_now)
        return [rotation.rotate(RotateOptions()) for rotation in rotations]

    return rotate


@pytest.fixture
def stand_in(cluster: Cluster) -> Iterator[ApiServer]:
    """The stand-in itself: what asks for it cannot be tested with a real cluster."""
    if REAL:
        pytest.skip("needs the stand-in")
    yield cluster.stand_in
    cluster.stand_in.faults.clear()
    cluster.stand_in.webhook = None
    cluster.stand_in.forbidden = ""

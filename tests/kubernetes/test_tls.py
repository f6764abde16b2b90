"""An API server with TLS, as it is found from inside a pod and from outside."""

import os
import pty
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.kubernetes.login import log_in
from rotator.errors import StoreUnreachableError
from rotator.stores.journal import Journal
from tests.kubernetes.apiserver import ApiServer
from tests.kubernetes.certificates import server_tls
from tests.kubernetes.cluster import write_kubeconfig
from tests.kubernetes.helpers import NOWHERE, opened
from tests.kubernetes.serving import serving
from tests.kubernetes.site import Site
from tests.support.waiting import PATIENCE

LOG_IN = """
import sys
from pathlib import Path
from backends.kubernetes.login import log_in
log_in({"KUBECONFIG": sys.argv[1]}, None, Path("/nowhere"))
"""


@pytest.fixture
def door(keys: Path, stand_in: ApiServer, request: pytest.FixtureRequest) -> Iterator[str]:
    """The stand-in behind TLS, by default with its own certificate."""
    name = getattr(request, "param", "own")
    with serving(stand_in, server_tls(keys, name, trusted="own")) as url:
        yield url


def read(site: Site, folder: Path, door: str, user: dict[str, str], **cluster: object) -> None:
    path = write_kubeconfig(folder / "config", door, user, **cluster)
    opened(site.store_url, {"KUBECONFIG": str(path)}).read()


def test_in_a_pod_the_service_account_is_enough_and_its_token_may_rotate(
    site: Site, stand_in: ApiServer, door: str, keys: Path, tmp_path: Path
) -> None:
    shutil.copy(keys / "own.crt", tmp_path / "ca.crt")
    (tmp_path / "token").write_text(site.token())
    host, _, port = door.removeprefix("https://").partition(":")
    variables = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
    store = opened(site.store_url, variables, service_account=tmp_path)
    store.write("new", Journal(), expected=store.read().version)
    version = store.read().version
    stand_in.tokens["next"] = stand_in.tokens.pop(site.token())
    (tmp_path / "token").write_text("next")
    store.write("newer", Journal(), expected=version)
    assert site.secret() == "newer"


def test_a_client_certificate_is_shown(
    site: Site, stand_in: ApiServer, door: str, keys: Path, tmp_path: Path
) -> None:
    certificate = {
        "client-certificate": str(keys / "own.crt"),
        "client-key": str(keys / "own.key"),
    }
    authority = str(keys / "own.crt")
    before = len(stand_in.requests)
    with pytest.raises(Exception, match="does not accept these credentials"):
        read(site, tmp_path, door, certificate, **{"certificate-authority": authority})
    assert [each.common_name for each in stand_in.requests[before:]] == ["rotator-test"] * 2


def test_an_unknown_authority_is_refused_before_anything_is_sent(
    site: Site, stand_in: ApiServer, door: str, keys: Path, tmp_path: Path
) -> None:
    before = len(stand_in.requests)
    authority = str(keys / "other.crt")
    with pytest.raises(StoreUnreachableError, match=r"is not trusted \(self.signed certificate\)"):
        read(site, tmp_path, door, {"token": "t"}, **{"certificate-authority": authority})
    assert len(stand_in.requests) == before


@pytest.mark.parametrize("door", ["other"], indirect=True)
def test_a_certificate_for_another_host_is_refused_unless_its_name_is_configured(
    site: Site, door: str, keys: Path, tmp_path: Path
) -> None:
    authority = {"certificate-authority": str(keys / "other.crt")}
    user = {"token": site.token()}
    with pytest.raises(StoreUnreachableError, match=r"is not trusted \(IP address mismatch"):
        read(site, tmp_path, door, user, **authority)
    read(site, tmp_path, door, user, **authority, **{"tls-server-name": "other.example"})


def test_on_this_machine_the_certificate_may_be_left_unchecked(
    site: Site, door: str, tmp_path: Path
) -> None:
    read(site, tmp_path, door, {"token": site.token()}, **{"insecure-skip-tls-verify": True})


def test_a_server_without_tls_is_told(site: Site, keys: Path, tmp_path: Path) -> None:
    address = site.upstream.replace("http:", "https:")
    authority = str(keys / "own.crt")
    with pytest.raises(StoreUnreachableError, match="no TLS with the API server"):
        read(site, tmp_path, address, {"token": "t"}, **{"certificate-authority": authority})


def test_an_authority_need_not_be_stricter_than_for_kubectl(keys: Path, tmp_path: Path) -> None:
    authority = {"certificate-authority": str(keys / "own.crt")}
    path = write_kubeconfig(tmp_path / "config", "https://one.example", {}, **authority)
    tls = log_in({"KUBECONFIG": str(path)}, None, NOWHERE).tls
    assert tls
    assert not tls.verify_flags & ssl.VERIFY_X509_STRICT
    assert tls.verify_mode == ssl.CERT_REQUIRED
    assert tls.check_hostname


def test_an_encrypted_key_is_told_and_no_terminal_is_asked_for_its_password(
    keys: Path, tmp_path: Path
) -> None:
    encrypt = f"openssl ec -in {keys}/own.key -aes256 -passout pass:made-up -out {tmp_path}/key"
    subprocess.run(encrypt.split(), check=True, capture_output=True)
    user = {"client-certificate": str(keys / "own.crt"), "client-key": str(tmp_path / "key")}
    path = write_kubeconfig(tmp_path / "config", "https://one.example", user)
    ours, theirs = pty.openpty()
    try:
        ran = subprocess.run(
            [sys.executable, "-c", LOG_IN, str(path)],
            stdin=theirs,
            capture_output=True,
            text=True,
            start_new_session=True,
            timeout=PATIENCE,
            check=False,
        )
    finally:
        os.close(theirs)
        os.close(ours)
    assert "StoreUnreachableError: a certificate or a key of the kubeconfig" in ran.stderr

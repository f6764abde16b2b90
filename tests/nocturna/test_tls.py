import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from rotator.errors import ApiUnreachableError
from rotator.http.client import Limits
from rotator.nocturna.client import NotDoneError
from tests.nocturna.support import MADE_UP, Client, Recorder, answer, recorder

ONCE = Limits(retries=0)
OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(not OPENSSL, reason="needs the openssl command for a certificate")
_REQUEST = (
    "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    " -subj /CN=nocturna-test -keyout key.pem -out cert.pem -addext"
)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a self-signed certificate for 127.0.0.1, and one for another host."""
    folder = tmp_path_factory.mktemp("keys")
    for name, host in (("own", "IP:127.0.0.1"), ("other", "DNS:other.example")):
        place = folder / name
        place.mkdir()
        command = [OPENSSL or "", *_REQUEST.split(), f"subjectAltName={host}"]
        subprocess.run(command, cwd=place, check=True, capture_output=True)
    return folder


def server_side(keys: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(keys / "cert.pem", keys / "key.pem")
    return context


def exchange(server: Recorder) -> None:
    Client(server.url, MADE_UP, ONCE).tokens.exchange("a.b.c")


def test_an_unknown_certificate_is_refused_and_the_remedy_named(keys: Path) -> None:
    with recorder(answer(), tls=server_side(keys / "own")) as server:
        with pytest.raises(ApiUnreachableError) as caught:
            exchange(server)
        assert server.requests == []
    assert str(caught.value) == (
        "exchange the service token: the API's TLS certificate is not trusted; for a private CA"
        " set REQUESTS_CA_BUNDLE"
    )
    assert type(caught.value) is NotDoneError


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_private_ca_is_trusted_when_the_environment_names_it(
    keys: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, str(keys / "own/cert.pem"))
    body = '{"access_token": "a"}'
    with recorder(answer(200, body), tls=server_side(keys / "own")) as server:
        exchange(server)
    assert server.requests[0].headers["authorization"] == "Bearer a.b.c"


def test_a_trusted_certificate_of_another_host_is_refused(
    keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(keys / "other/cert.pem"))
    with recorder(answer(), tls=server_side(keys / "other")) as server:
        with pytest.raises(NotDoneError, match="certificate is not trusted"):
            exchange(server)
        assert server.requests == []


def test_a_bundle_that_is_not_there_is_named(
    keys: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing.pem"))
    with (
        recorder(answer(), tls=server_side(keys / "own")) as server,
        pytest.raises(NotDoneError, match="file that REQUESTS_CA_BUNDLE names is not there"),
    ):
        exchange(server)


def test_a_bundle_that_holds_no_certificate_is_an_error(
    keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(keys / "own/key.pem"))
    with (
        recorder(answer(), tls=server_side(keys / "own")) as server,
        pytest.raises(ApiUnreachableError, match="TLS"),
    ):
        exchange(server)

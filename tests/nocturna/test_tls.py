import shutil
import socket
import ssl
import subprocess
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from rotator.clock import utc_now
from rotator.errors import ApiError, ApiUnreachableError
from rotator.http.client import Limits
from rotator.nocturna.api import NotDoneError
from tests.http_client.support import RawServer, raw_server
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
        with pytest.raises(
            NotDoneError, match=r"is made for another host than 127\.0\.0\.1:\d+; use"
        ):
            exchange(server)
        assert server.requests == []


@pytest.mark.parametrize(
    ("days", "told"),
    [(-2, "has expired; renew it, and check this machine"), (2, "is not valid yet; check this")],
)
def test_a_certificate_at_a_wrong_time_has_a_sentence_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int, told: str
) -> None:
    make_certificate(tmp_path, begins=utc_now() + timedelta(days=days))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "cert.pem"))
    with recorder(answer(), tls=server_side(tmp_path)) as server:
        with pytest.raises(NotDoneError, match=told) as caught:
            exchange(server)
        assert server.requests == []
    assert "REQUESTS_CA_BUNDLE" not in str(caught.value)


def make_certificate(folder: Path, begins: datetime) -> None:
    """Make one for 127.0.0.1 that is valid for a day; the openssl command sets no begin."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nocturna-test")])
    host = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(begins).not_valid_after(begins + timedelta(days=1))
    certificate = builder.add_extension(host, critical=False).sign(key, SHA256())
    (folder / "cert.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "key.pem").write_bytes(secret)


def test_plain_http_to_a_port_of_tls_is_told(keys: Path) -> None:
    with recorder(answer(), tls=server_side(keys / "own")) as server:
        url = server.url.replace("https:", "http:")
        with pytest.raises(ApiUnreachableError, match="if it speaks TLS, begin its URL with https"):
            Client(url, MADE_UP, ONCE).tokens.exchange("a.b.c")


def test_an_alert_of_tls_is_recognised() -> None:
    def alert(server: RawServer, connection: socket.socket) -> None:
        server.read_head(connection)
        connection.sendall(b"\x15\x03\x01\x00\x02\x02\x46")

    with (
        raw_server(alert) as server,
        pytest.raises(
            ApiUnreachableError, match=r"speaks TLS at 127.0.0.1:\d+; begin its URL with"
        ),
    ):
        Client(f"{server.url}/api", MADE_UP, ONCE).tokens.exchange("a.b.c")


def test_the_400_of_a_port_of_tls_is_told() -> None:
    page = "<html>The plain HTTP request was sent to HTTPS port</html>"
    with (
        recorder(answer(400, page)) as server,
        pytest.raises(ApiError, match="answered 400 to plain HTTP; if it speaks TLS, begin its"),
    ):
        exchange(server)


def test_a_bundle_that_is_not_there_is_named(
    keys: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing.pem"))
    with (
        recorder(answer(), tls=server_side(keys / "own")) as server,
        pytest.raises(
            NotDoneError, match="file that REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names cannot"
        ),
    ):
        exchange(server)


def test_a_bundle_that_holds_no_certificate_is_an_error(
    keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(keys / "own/key.pem"))
    with (
        recorder(answer(), tls=server_side(keys / "own")) as server,
        pytest.raises(
            ApiUnreachableError, match="REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names cannot be used"
        ),
    ):
        exchange(server)

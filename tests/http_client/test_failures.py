"""From an exception to what went wrong."""

import socket
from importlib.util import find_spec
from pathlib import Path

import pytest
import requests

from rotator.http.client import BoundedSession, Limits
from rotator.http.failures import Failure, FailureKind, explain_failure
from tests.http_client.support import answering, ok, raw_server

ONCE = Limits(retries=0)
DEAD = "http://127.0.0.1:1"
_CUT_OFF = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def failure(url: str, **options: object) -> Failure:
    with pytest.raises(OSError) as caught:  # noqa: PT011 - its kind is what is tested
        BoundedSession(ONCE).get(url, **options)  # type: ignore[arg-type]
    return explain_failure(caught.value)


def test_nothing_listens() -> None:
    expected = Failure(FailureKind.REFUSED, never_sent=True, detail="Connection refused")
    assert failure(DEAD) == expected


@pytest.mark.parametrize(
    "name", ["nowhere.invalid", "nowhere.invalid:99", "a..b", "a" * 64 + ".invalid"]
)
def test_an_unknown_host(name: str) -> None:
    found = failure(f"http://{name}")
    assert (found.kind, found.never_sent) == (FailureKind.UNKNOWN_HOST, True)


def test_a_proxy_that_is_not_there() -> None:
    for scheme in ("http", "https"):
        found = failure(f"{scheme}://elsewhere.invalid", proxies={scheme: DEAD})
        assert (found.kind, found.never_sent) == (FailureKind.PROXY, True)


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("http://", "is no URL of a proxy, such as http://HOST:PORT"),
        ("http://:8080", "is no URL of a proxy, such as http://HOST:PORT"),
        ("luna:of-the-proxy@127.0.0.1:9", "is no URL of a proxy, such as http://HOST:PORT"),
        ("http://127.0.0.1:port", "is no URL of a proxy, such as http://HOST:PORT"),
        ("http://127.0.0.1:99999", "is no URL of a proxy, such as http://HOST:PORT"),
        ("http://[::1", "is no URL of a proxy, such as http://HOST:PORT"),
        ("http://luna:of-the-proxy@a host:9", "is no URL of a proxy, such as http://HOST:PORT"),
        ("http://127.0.0.1:9\r", "is no URL of a proxy, such as http://HOST:PORT"),
        ("ftp://127.0.0.1:9", "begins with none of http, https, socks5"),
        ("socks://127.0.0.1:9", "begins with none of http, https, socks5"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, why: str
) -> None:
    for each in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(name, value)
    found = failure("https://elsewhere.invalid")
    assert (found.kind, found.never_sent) == (FailureKind.BAD_PROXY, True)
    assert found.detail.startswith(f"{name} {why}")
    assert "of-the-proxy" not in found.detail


@pytest.mark.skipif(find_spec("socks") is not None, reason="PySocks is installed")
@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "socks4a"])
def test_a_socks_proxy_says_which_package_it_needs(scheme: str) -> None:
    found = failure("http://elsewhere.invalid", proxies={"http": f"{scheme}://127.0.0.1:9"})
    assert found.kind is FailureKind.BAD_PROXY
    assert "pip install PySocks" in found.detail


def test_a_proxy_may_be_named_without_a_scheme() -> None:
    found = failure("http://elsewhere.invalid", proxies={"http": "127.0.0.1:1"})
    assert found.kind is FailureKind.PROXY


def test_a_proxy_that_refuses_a_tunnel() -> None:
    with raw_server(answering(b"HTTP/1.1 407 Secret\r\nContent-Length: 0\r\n\r\n")) as proxy:
        found = failure("https://elsewhere.invalid", proxies={"https": proxy.url})
    assert found == Failure(FailureKind.PROXY, never_sent=True, detail="")


def test_no_tls_at_the_port() -> None:
    with raw_server(lambda _, connection: connection.sendall(b"220 ready\r\n")) as server:
        assert failure(server.url.replace("http:", "https:")).kind is FailureKind.NO_TLS


@pytest.mark.parametrize("option", ["verify", "cert"])
@pytest.mark.parametrize("text", ["nothing", "", _CUT_OFF])
def test_a_certificate_file_that_is_no_pem(tmp_path: Path, option: str, text: str) -> None:
    file = tmp_path / "file.pem"
    file.write_text(text)
    with raw_server(answering(ok())) as server:
        url = server.url.replace("http:", "https:")
        found = failure(url, **{option: str(file)})
    assert found == Failure(FailureKind.FILE, never_sent=True, detail="it is no valid PEM file")


@pytest.mark.parametrize("option", ["verify", "cert"])
def test_a_certificate_file_that_is_not_there(tmp_path: Path, option: str) -> None:
    found = failure("https://127.0.0.1:1", **{option: str(tmp_path / "missing.pem")})
    assert (found.kind, found.never_sent) == (FailureKind.FILE, True)


def test_a_connection_that_is_never_accepted() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.settimeout(0)
            one.connect_ex(server.getsockname())  # fills the queue
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(requests.RequestException) as caught:
            BoundedSession(Limits(connect=0.05, retries=0)).get(url)
        for one in waiting:
            one.close()
    found = explain_failure(caught.value)
    assert (found.kind, found.never_sent) == (FailureKind.TIMEOUT, True)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"hello\r\n\r\n",
        b"HTTP/1.1 2000000 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        ok(b"{}", b"Content-Encoding: gzip"),
    ],
    ids=["nothing", "text", "a status", "200 headers", "a long header", "chunks", "gzip"],
)
def test_what_is_hardly_http(answer: bytes) -> None:
    with (
        raw_server(answering(answer)) as server,
        pytest.raises(requests.RequestException) as caught,
    ):
        BoundedSession(ONCE).get(server.url, timeout=1)
    assert explain_failure(caught.value).kind in (FailureKind.BROKEN, FailureKind.TIMEOUT)


@pytest.mark.parametrize("url", ["http://☃..b/", "ftp://127.0.0.1/", "http://"])
def test_a_url_that_leads_nowhere(url: str) -> None:
    assert failure(url).kind is FailureKind.BROKEN


def test_the_failure_of_an_earlier_call_is_not_the_cause() -> None:
    with raw_server(answering(b"hello\r\n\r\n")) as server:
        try:
            BoundedSession(ONCE).get(DEAD)
        except OSError:
            assert failure(server.url).kind is FailureKind.BROKEN

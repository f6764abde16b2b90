"""What a session sends, repeats, keeps and tells; its time is in test_deadlines.py."""

import gzip
import logging
import socket
import ssl
from pathlib import Path

import hvac
import pytest
import requests

from rotator.http.client import BoundedSession, Limits, read_body, read_json
from rotator.http.failures import AnswerTooLargeError, FailureKind, explain_failure
from tests.http_client.support import RawServer, answering, ok, raw_server, tunnel
from tests.kubernetes import certificates

QUICK = Limits(backoff=0.0, longest_pause=0.01)
UNAVAILABLE = b"HTTP/1.1 503 X\r\nRetry-After: 9999\r\nContent-Length: 0\r\n\r\n"


def closing(server: RawServer, connection: socket.socket) -> None:
    server.read_head(connection)


def first_lines(server: RawServer) -> list[bytes]:
    return [head.split(b"\r\n", 1)[0] for head in server.requests]


def test_a_redirect_is_not_followed() -> None:
    moved = b"HTTP/1.1 302 X\r\nLocation: /else\r\nContent-Length: 0\r\n\r\n"
    with raw_server(answering(moved)) as server:
        assert BoundedSession().get(server.url).status_code == 302
        assert len(server.requests) == 1


def test_cookies_are_not_sent_back() -> None:
    with raw_server(answering(ok(b"{}", b"Set-Cookie: a=b; Path=/"))) as server:
        session = BoundedSession()
        for _ in range(2):
            session.get(server.url)
        assert not [head for head in server.requests if b"cookie" in head.lower()]


def test_netrc_is_sent_only_if_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ops password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    session = BoundedSession()
    with raw_server(answering(ok())) as server:
        session.get(server.url)
        session.auth = None
        session.get(server.url)
        assert [b"Authorization: Basic" in head for head in server.requests] == [False, True]


def test_what_an_sdk_sets_at_a_session_is_sent() -> None:
    seen: list[int] = []
    with raw_server(answering(ok())) as server:
        session = BoundedSession()
        session.params = {"api-version": "7"}
        session.get(server.url)
        session.params = {}
        session.cookies.set("sid", "x")
        session.get(server.url)
        session.cookies.clear()
        session.get(server.url, cookies={"c": "1"})
        session.hooks["response"].append(lambda answer, **_: seen.append(answer.status_code))
        session.get(server.url)
    assert first_lines(server)[0] == b"GET /?api-version=7 HTTP/1.1"
    assert [b"Cookie: sid=x" in head for head in server.requests] == [False, True, False, False]
    assert b"Cookie: c=1" in server.requests[2]
    assert seen == [200]


def test_the_environment_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    session = BoundedSession(QUICK)
    with raw_server(answering(ok())) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        session.get("http://elsewhere.invalid/a")
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        session.get("http://elsewhere.invalid/b")
        assert first_lines(proxy) == [
            b"GET http://elsewhere.invalid/a HTTP/1.1",
            b"GET http://elsewhere.invalid/b HTTP/1.1",
        ]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_host_on_this_machine_needs_no_proxy(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with raw_server(answering(ok())) as server:
        session, url = BoundedSession(QUICK), server.url.replace("127.0.0.1", host)
        assert session.get(url).ok
        assert session.send(session.prepare_request(requests.Request("GET", url))).ok


def test_a_connection_serves_many_requests() -> None:
    with raw_server(answering(ok(b"1"), ok(b"2"), ok(b"3"), b"")) as server:
        session = BoundedSession()
        found = [session.get(server.url).json() for _ in range(2)]
        with session.get(server.url, stream=True) as response:
            found.append(read_json(response, 100))
        assert found == [1, 2, 3]


def test_a_body_can_be_read_twice() -> None:
    with raw_server(answering(ok(b"[1]"))) as server:
        response = BoundedSession().get(server.url)
        assert (response.text, response.json(), response.content) == ("[1]", [1], b"[1]")


@pytest.mark.parametrize(
    "answer",
    [
        ok(b"x" * 2000),
        ok(gzip.compress(b"x" * 2_000_000), b"Content-Encoding: gzip"),
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000,
        b"HTTP/1.1 500 X\r\nContent-Length: 9999999999\r\n\r\n" + b"x" * 100_000,
    ],
    ids=["long", "packed", "endless", "of a failure"],
)
def test_a_body_that_is_too_long_is_cut_off(answer: bytes) -> None:
    with raw_server(answering(answer)) as server:
        with pytest.raises(AnswerTooLargeError) as caught:
            BoundedSession(Limits(largest=1000)).get(server.url)
        assert explain_failure(caught.value).kind is FailureKind.TOO_LARGE
        with (
            BoundedSession().get(server.url, stream=True) as response,
            pytest.raises(AnswerTooLargeError),
        ):
            read_body(response, 1000)


def test_a_packed_body_is_unpacked() -> None:
    packed = ok(gzip.compress(b'{"a": 1}'), b"Content-Encoding: gzip")
    with raw_server(answering(packed)) as server:
        assert BoundedSession().get(server.url).json() == {"a": 1}


@pytest.mark.parametrize("body", [b"", b"<html>", b"[" * 60_000, b"9" * 5000, b"\xff\xfe\x00"])
def test_what_is_not_json_is_told(body: bytes) -> None:
    with (
        raw_server(answering(ok(body))) as server,
        BoundedSession().get(server.url, stream=True) as response,
        pytest.raises(requests.RequestException) as caught,
    ):
        read_json(response, 1 << 20)
    assert explain_failure(caught.value).kind is FailureKind.NOT_JSON


@pytest.mark.parametrize(("method", "calls"), [("GET", 3), ("POST", 1)])
def test_a_request_that_broke_is_repeated_where_that_is_safe(method: str, calls: int) -> None:
    with raw_server(closing) as server:
        with pytest.raises(requests.RequestException) as caught:
            BoundedSession(QUICK).request(method, server.url)
        assert len(server.requests) == calls
    assert explain_failure(caught.value).kind is FailureKind.BROKEN
    assert not explain_failure(caught.value).never_sent


def test_no_request_is_repeated_if_no_method_may_be() -> None:
    with raw_server(closing) as server:
        for method in ("GET", "POST", "PUT", "DELETE"):
            with pytest.raises(requests.RequestException):
                BoundedSession(QUICK, retried_methods=()).request(method, server.url)
        assert len(server.requests) == 4


def test_a_status_is_repeated_only_if_it_is_named() -> None:
    with raw_server(answering(UNAVAILABLE)) as server:
        assert BoundedSession(QUICK).get(server.url).status_code == 503
        assert len(server.requests) == 1
    with raw_server(answering(UNAVAILABLE, UNAVAILABLE, ok())) as server:
        assert BoundedSession(QUICK, retried_statuses=[503]).get(server.url).ok
        assert len(server.requests) == 3
    with raw_server(answering(UNAVAILABLE)) as server:
        assert BoundedSession(QUICK, retried_statuses=[503]).get(server.url).status_code == 503
        assert len(server.requests) == 3


def test_log_lines_hold_no_query_and_no_text_of_the_server(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    with raw_server(answering(b"secret-status\r\n\r\n")) as server:
        with pytest.raises(requests.RequestException):
            BoundedSession(QUICK).get(f"{server.url}/path?token=secret-query")
        assert len(server.requests) == 3
    with raw_server(answering(ok())) as server:
        BoundedSession(QUICK).get(f"{server.url}/path?token=secret-query")
    assert "/path" in caplog.text
    assert "secret" not in caplog.text


def test_log_lines_of_other_sessions_stay(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    BoundedSession()
    with raw_server(answering(ok())) as server:
        requests.get(f"{server.url}/path?page=2", timeout=60)
    assert "?page=2" in caplog.text


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    certificates.make(folder, "own", "server", "IP:127.0.0.1")
    certificates.make(folder, "named", "server", "DNS:api.example")
    certificates.make(folder, "client", "client", "DNS:client.example")
    return folder


def trusting(keys: Path, name: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=keys / f"{name}.crt")


def test_only_the_given_context_decides_whom_to_trust(
    keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with raw_server(answering(ok()), certificates.server_tls(keys, "own", "own")) as server:
        assert BoundedSession(tls=trusting(keys, "own")).get(server.url).ok
        assert BoundedSession().get(server.url, verify=str(keys / "own.crt")).ok
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(keys / "own.crt"))
        assert BoundedSession().get(server.url).ok
        with pytest.raises(requests.RequestException) as caught:
            BoundedSession(tls=trusting(keys, "named")).get(server.url, verify=True)
    failure = explain_failure(caught.value)
    assert failure.kind is FailureKind.CERTIFICATE
    assert failure.never_sent
    assert failure.detail == "self-signed certificate"


def test_a_context_that_trusts_everybody_is_taken_at_its_word(keys: Path) -> None:
    careless = ssl.create_default_context()
    careless.check_hostname, careless.verify_mode = False, ssl.CERT_NONE
    with (
        raw_server(answering(ok()), certificates.server_tls(keys, "named", "own")) as server,
        pytest.warns(Warning, match="Unverified HTTPS request"),
    ):
        assert BoundedSession(tls=careless).get(server.url).ok


def test_a_server_may_have_another_name_than_the_url(keys: Path) -> None:
    tls = trusting(keys, "named")
    with raw_server(answering(ok()), certificates.server_tls(keys, "named", "own")) as server:
        with pytest.raises(requests.RequestException) as caught:
            BoundedSession(tls=tls).get(server.url)
        assert explain_failure(caught.value).kind is FailureKind.CERTIFICATE
        assert BoundedSession(tls=tls, server_name="api.example").get(server.url).ok


def test_a_tunnel_trusts_by_the_same_context(keys: Path) -> None:
    through = tunnel(answering(ok()), certificates.server_tls(keys, "own", "own"))
    with raw_server(through) as proxy:
        proxies = {"https": proxy.url}
        assert BoundedSession(tls=trusting(keys, "own")).get("https://127.0.0.1:1", proxies=proxies)
        with pytest.raises(requests.RequestException) as caught:
            BoundedSession(tls=trusting(keys, "named")).get("https://127.0.0.1:1", proxies=proxies)
    assert explain_failure(caught.value).kind is FailureKind.CERTIFICATE


@pytest.mark.parametrize("with_context", [True, False])
def test_a_client_certificate_is_shown(keys: Path, *, with_context: bool) -> None:
    shown = []

    def script(server: RawServer, connection: socket.socket) -> None:
        assert isinstance(connection, ssl.SSLSocket)
        shown.append(connection.getpeercert())
        answering(ok())(server, connection)

    session = BoundedSession(tls=trusting(keys, "own") if with_context else None)
    session.cert = str(keys / "client.crt"), str(keys / "client.key")
    session.verify = str(keys / "own.crt")
    with raw_server(script, certificates.server_tls(keys, "own", "client")) as server:
        assert session.get(server.url).ok
    assert "client" in str(shown)


def test_hvac_takes_it_as_its_session(keys: Path) -> None:
    body = b'{"data": {"data": {"a": "b"}, "metadata": {"version": 1}}}'
    with raw_server(answering(ok(body)), certificates.server_tls(keys, "own", "own")) as server:
        session = BoundedSession(tls=trusting(keys, "own"))
        client = hvac.Client(server.url, "a-token", session=session)
        found = client.secrets.kv.v2.read_secret_version("bots/luna", raise_on_deleted_version=True)
    assert found["data"]["data"] == {"a": "b"}


@pytest.mark.parametrize("status", [b"100 Continue", b"102 Processing", b"103 Early Hints"])
@pytest.mark.parametrize("times", [1, 3])
def test_interim_answers_are_read_past(status: bytes, times: int) -> None:
    interim = b"HTTP/1.1 " + status + b"\r\nLink: </x>\r\nConnection: close\r\n\r\n"
    with raw_server(answering(interim * times + ok(b"[1]"))) as server:
        session = BoundedSession()
        for _ in range(2):
            response = session.get(server.url)
            assert (response.status_code, response.json()) == (200, [1])
            assert "Link" not in response.headers


def test_another_protocol_is_not_spoken() -> None:
    with raw_server(answering(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n")) as server:
        assert BoundedSession().get(server.url).status_code == 101


def test_a_proxy_that_is_given_serves_this_machine_too() -> None:
    session = BoundedSession(QUICK)
    with raw_server(answering(ok())) as proxy:
        session.proxies = {"http": proxy.url}
        session.get("http://127.0.0.1:1/a")
        BoundedSession(QUICK).get("http://127.0.0.1:1/b", proxies={"http": proxy.url})
        assert first_lines(proxy) == [
            b"GET http://127.0.0.1:1/a HTTP/1.1",
            b"GET http://127.0.0.1:1/b HTTP/1.1",
        ]


@pytest.mark.parametrize("piece", [b"[],", b"{},", b"1,", b'"",', b"["], ids=repr)
def test_json_that_would_fill_the_memory_is_too_large(piece: bytes) -> None:
    body = b"[" + piece * ((2 << 20) // len(piece)) + b"0]"
    with raw_server(answering(ok(body))) as server:
        response = BoundedSession().get(server.url, stream=True)
        with pytest.raises(AnswerTooLargeError):
            read_json(response, 4 << 20)


def test_a_long_list_of_rows_is_read() -> None:
    row = b'{"id":"5f0c2f0e-8f0e-4c53-8a55-0f7ad8a2a7f1","scope":"calculations","is_expired":false}'
    body = b"[" + b",".join([row] * 20_000) + b"]"
    with raw_server(answering(ok(body))) as server:
        response = BoundedSession().get(server.url, stream=True)
        assert len(read_json(response, 4 << 20)) == 20_000

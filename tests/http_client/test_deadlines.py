"""An exchange ends in time, whatever a server or a proxy sends, and however slowly."""

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import ClassVar

import pytest
import requests
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError

from rotator.clock import TimeBudget
from rotator.http import deadlines
from rotator.http.client import BoundedSession, Limits, read_body
from rotator.http.failures import FailureKind, explain_failure
from tests.http_client.support import (
    DRIPS,
    RawServer,
    Script,
    Timer,
    answering,
    deaf_name_servers,
    ok,
    raw_server,
    tunnel,
)
from tests.kubernetes import certificates
from tests.support.waiting import FOREVER, PATIENCE

TOTAL = 0.2
HASTY = Limits(total=TOTAL)
# A busy machine may take longer than the hasty ones to reach a proxy, which is another failure.
PATIENT = Limits(total=5 * TOTAL)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    certificates.make(folder, "own", "server", "IP:127.0.0.1")
    return folder


def server_side(keys: Path) -> ssl.SSLContext:
    return certificates.server_tls(keys, "own", "own")


def trusting(keys: Path, limits: Limits = HASTY) -> BoundedSession:
    return BoundedSession(limits, tls=ssl.create_default_context(cafile=keys / "own.crt"))


@contextmanager
def ends_in_time(
    *, never_sent: bool = False, kind: FailureKind = FailureKind.TIMEOUT
) -> Iterator[None]:
    timer = Timer()
    with pytest.raises(requests.RequestException) as caught:
        yield
    assert timer.seconds < PATIENCE
    failure = explain_failure(caught.value)
    assert failure.kind is kind
    assert failure.never_sent or not never_sent  # a busy machine may not even connect in time


def drips(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("script", [DRIPS[name] for name in names], ids=names)


@drips(*DRIPS)
def test_a_drip_over_plain_http(script: Script) -> None:
    with raw_server(script) as server, ends_in_time():
        BoundedSession(HASTY).get(server.url)


@drips(*DRIPS)
def test_a_drip_over_tls(script: Script, keys: Path) -> None:
    with raw_server(script, server_side(keys)) as server, ends_in_time():
        trusting(keys).get(server.url)


@drips("a header", "103 Early Hints", "trailers")
def test_a_drip_through_a_proxy(script: Script) -> None:
    with raw_server(script) as proxy, ends_in_time():
        BoundedSession(HASTY).get("http://elsewhere.invalid/", proxies={"http": proxy.url})


@drips("a header", "103 Early Hints", "trailers")
def test_a_drip_through_a_tunnel(script: Script, keys: Path) -> None:
    with raw_server(tunnel(script, server_side(keys))) as proxy, ends_in_time():
        trusting(keys, PATIENT).get("https://127.0.0.1:1/", proxies={"https": proxy.url})


@pytest.mark.parametrize("name", ["a status line", "a header", "headers", "nothing"])
def test_a_proxy_that_drips_before_the_tunnel(name: str, keys: Path) -> None:
    with raw_server(DRIPS[name]) as proxy, ends_in_time(never_sent=True):
        trusting(keys, PATIENT).get("https://127.0.0.1:1/", proxies={"https": proxy.url})


@drips("a body", "chunks", "trailers")
def test_a_drip_that_is_read_piece_by_piece(script: Script) -> None:
    session = BoundedSession(HASTY)
    with raw_server(script) as server, ends_in_time(), session.get(server.url, stream=True) as it:
        read_body(it, 1 << 20)


def test_a_server_that_never_begins_tls(keys: Path) -> None:
    def silent(server: RawServer, _: socket.socket) -> None:
        server.is_over.wait()

    with raw_server(silent) as server, ends_in_time(never_sent=True):
        trusting(keys).get(server.url.replace("http:", "https:"))


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_name_servers_that_do_not_answer(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    with deaf_name_servers(monkeypatch), ends_in_time(never_sent=True):
        BoundedSession(HASTY).get(f"{scheme}://api.example/")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_name_servers_that_do_not_answer_of_a_proxy(
    monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    proxies = {scheme: "http://proxy.example:3128"}
    with (
        deaf_name_servers(monkeypatch),
        ends_in_time(never_sent=True, kind=FailureKind.PROXY),
    ):
        BoundedSession(HASTY).get(f"{scheme}://elsewhere.invalid/", proxies=proxies)


class ThroughSocks(HTTPConnection):
    """Looks up the proxy, as urllib3's for SOCKS does, which needs one more package."""

    _socks_options: ClassVar = {"proxy_host": "proxy.example"}

    def _new_conn(self) -> socket.socket:
        return socket.create_connection((self._socks_options["proxy_host"], 1080))


def test_name_servers_that_do_not_answer_of_a_socks_proxy_to_an_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with HTTPConnectionPool("10.0.0.1", retries=False) as pool:
        pool.ConnectionCls = ThroughSocks
        deadlines.bound_pool(pool)
        timer = Timer()
        with (
            deaf_name_servers(monkeypatch),
            deadlines.exchange_within(TOTAL),
            pytest.raises((HTTPError, TimeoutError)),
        ):
            pool.request("GET", "/")
        assert timer.seconds < PATIENCE


def test_nothing_is_sent_on_what_is_connected_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    came: SimpleQueue[bytes] = SimpleQueue()

    def listen(_: RawServer, connection: socket.socket) -> None:
        came.put(connection.recv(4096))

    with raw_server(listen) as server:
        with deaf_name_servers(monkeypatch), ends_in_time(never_sent=True):
            BoundedSession(HASTY).get(f"http://api.example:{server.port}/")
        assert came.get(timeout=PATIENCE) == b""


def test_without_a_thread_for_it_the_system_looks_up_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(**_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(deadlines, "Thread", refuse)
    with raw_server(answering(ok(b"[1]"))) as server:
        assert BoundedSession().get(server.url.replace("127.0.0.1", "localhost")).json() == [1]


@pytest.mark.parametrize("secured", [False, True], ids=["http", "https"])
def test_a_server_that_takes_a_request_slowly(keys: Path, *, secured: bool) -> None:
    def slow(server: RawServer, connection: socket.socket) -> None:
        while not server.is_over.wait(0.02):
            connection.recv(4096)

    with raw_server(slow, server_side(keys) if secured else None) as server, ends_in_time():
        trusting(keys).post(server.url, data=b"x" * 50_000_000)


def test_retries_do_not_make_it_longer() -> None:
    unavailable = b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n"
    limits = Limits(total=TOTAL, retries=1000, backoff=0.01)
    with raw_server(answering(unavailable)) as server:
        timer = Timer()
        outcome: int | FailureKind
        try:  # either the time ends with an answer, or before a pause
            outcome = BoundedSession(limits, retried_statuses=[503]).get(server.url).status_code
        except requests.RequestException as error:
            outcome = explain_failure(error).kind
        assert outcome in {503, FailureKind.TIMEOUT}
        assert timer.seconds < PATIENCE
        assert len(server.requests) < 1000


def test_a_pause_is_not_longer_than_the_time_left() -> None:
    patience = b"HTTP/1.1 503 X\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n"
    limits = Limits(total=TOTAL, longest_pause=3600)
    with raw_server(answering(patience)) as server:
        timer = Timer()
        with pytest.raises(requests.RequestException):
            BoundedSession(limits, retried_statuses=[503]).get(server.url)
        assert timer.seconds < PATIENCE


def test_silence_ends_before_the_whole() -> None:
    timer = Timer()
    with raw_server(DRIPS["nothing"]) as server, ends_in_time():
        BoundedSession(Limits(read=0.1, total=1000, retries=0)).get(server.url)
    assert timer.seconds < PATIENCE


def test_exchanges_end_with_their_budget() -> None:
    patient = BoundedSession(Limits(read=FOREVER, total=FOREVER))
    with raw_server(DRIPS["headers"]) as server, TimeBudget(TOTAL).spending():
        for _ in range(2):
            with ends_in_time():
                patient.get(server.url)


def test_a_budget_that_becomes_shorter_ends_an_exchange_in_hand() -> None:
    budget = TimeBudget(FOREVER)

    def hurry(server: RawServer, connection: socket.socket) -> None:
        budget.shorten(TOTAL)
        DRIPS["a body"](server, connection)

    with raw_server(hurry) as server, budget.spending(), ends_in_time():
        BoundedSession(Limits(read=FOREVER, total=FOREVER)).get(server.url)


def test_each_exchange_has_its_own_time(keys: Path) -> None:
    with raw_server(answering(ok()), server_side(keys)) as server:
        session = trusting(keys, Limits(total=PATIENCE))
        session.get(server.url)
        session.get_adapter("https://").__dict__["_total"] = 0.0
        with ends_in_time():
            session.get(server.url)


def test_a_slow_answer_within_the_time_is_read() -> None:
    def slow(server: RawServer, connection: socket.socket) -> None:
        server.read_head(connection)
        for byte in ok(b"[1]"):
            connection.sendall(bytes([byte]))
            time.sleep(0.001)

    with raw_server(slow) as server:
        assert BoundedSession().get(server.url).json() == [1]

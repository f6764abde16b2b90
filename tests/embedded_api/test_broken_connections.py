import json
import socket
import time
from http.client import IncompleteRead, RemoteDisconnected

import pytest

from tests.support.sandbox import Fault, Sandbox
from tests.support.waiting import FOREVER, PATIENCE, wait_until

from .client import MINT, Client


@pytest.mark.parametrize("done", [False, True])
def test_a_reset_comes_before_or_after_the_work(
    api: Sandbox, client: Client, admin: str, *, done: bool
) -> None:
    api.misbehave(Fault.reset_after() if done else Fault.reset_before(), call=MINT)
    with pytest.raises(ConnectionResetError) as caught:
        client.call(MINT, bearer=admin, order={})
    assert not isinstance(caught.value, RemoteDisconnected), "an end, not a reset"
    assert len(api.live_tokens()) == done
    assert api.calls == [("POST", "/auth/admin/service-tokens", None)]


def test_a_delay_comes_after_the_work(api: Sandbox, admin: str) -> None:
    client = Client(api.url, timeout=0.1)
    api.misbehave(Fault.delay(FOREVER), call=MINT)
    with pytest.raises(TimeoutError):
        client.call(MINT, bearer=admin, order={})
    client.close()
    wait_until(lambda: len(api.live_tokens()) == 1)


def test_late_work_comes_after_the_client_has_given_up(api: Sandbox, admin: str) -> None:
    client = Client(api.url, timeout=0.02)
    api.misbehave(Fault.late(0.08), call=MINT)
    start = time.monotonic()
    with pytest.raises(TimeoutError):
        client.call(MINT, bearer=admin, order={})
    client.close()
    wait_until(lambda: api.tokens)
    assert time.monotonic() - start >= 0.08


def test_a_delayed_answer_is_the_usual_one(api: Sandbox, client: Client) -> None:
    api.misbehave(Fault.delay(0.03))
    start = time.monotonic()
    assert client.call("GET /health").status == 200
    assert time.monotonic() - start >= 0.03


@pytest.mark.parametrize("fault", [Fault.server_error(), Fault.drop_idle()])
def test_a_connection_may_be_dropped_without_a_word(
    api: Sandbox, client: Client, fault: Fault
) -> None:
    api.misbehave(fault)
    assert client.call("GET /health").headers["connection"] is None
    assert client.connection.sock.recv(1) == b""


def test_a_truncated_answer_ends_in_the_middle_of_its_json(
    api: Sandbox, client: Client, admin: str
) -> None:
    api.misbehave(Fault.truncated(), call=MINT)
    with pytest.raises(IncompleteRead) as caught:
        client.call(MINT, bearer=admin, order={})
    assert caught.value.partial.startswith(b'{"service_token":"ey')
    with pytest.raises(json.JSONDecodeError):
        json.loads(caught.value.partial)
    assert len(api.live_tokens()) == 1


def test_a_huge_answer_is_whole_json_with_padding(api: Sandbox, client: Client, admin: str) -> None:
    api.misbehave(Fault.huge(1_000_000), call=MINT)
    reply = client.call(MINT, bearer=admin, order={})
    assert len(reply.json["padding"]) == 1_000_000
    assert reply.json["service_token"] == api.live_tokens()[0].secret
    assert client.call("GET /health").status == 200


def test_an_endless_answer_ends_when_the_client_leaves(api: Sandbox) -> None:
    api.misbehave(Fault.huge(None))
    client = Client(api.url)
    client.connection.request("GET", "/api/health")
    response = client.connection.getresponse()
    assert len(response.read(2_000_000)) == 2_000_000
    response.close()
    client.close()


def test_a_dripping_answer_arrives_byte_by_byte(api: Sandbox, client: Client) -> None:
    api.misbehave(Fault.drip(0.001))
    start = time.monotonic()
    assert client.call("GET /health").json == {"status": "healthy"}
    assert time.monotonic() - start >= 0.02


def test_a_request_that_is_no_http_ends_the_connection(api: Sandbox) -> None:
    host, port = api.url.removeprefix("http://").removesuffix("/api").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as raw:
        raw.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        reply = b"".join(iter(lambda: raw.recv(65536), b""))
    assert reply.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"hello" not in reply

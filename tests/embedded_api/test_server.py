import threading
import time
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlencode

import pytest

from tests.support.sandbox import Fault, Sandbox
from tests.support.waiting import FOREVER, PATIENCE, wait_until

from .client import EXCHANGE, MINT, NOON, Client, FakeClock


def test_health_is_answered_below_and_above_the_base_url(api: Sandbox, client: Client) -> None:
    above = Client(api.url.removesuffix("/api"))
    for reply in (client.call("GET /health"), above.call("GET /health")):
        assert (reply.status, reply.body) == (200, b'{"status":"healthy"}')
        assert reply.headers["content-type"] == "application/json"
    above.close()


def test_the_date_header_follows_the_clock(client: Client, clock: FakeClock) -> None:
    clock.now = NOON + timedelta(days=400)
    date = parsedate_to_datetime(client.call("GET /health").headers["date"])
    assert date.astimezone(UTC) == (NOON + timedelta(days=400)).replace(microsecond=0)


def test_calls_are_recorded_in_order_without_their_queries(api: Sandbox, client: Client) -> None:
    client.call("POST /auth/logout?refresh_token=secret")
    client.call("GET /nope")
    client.call("GET /health/")
    assert api.calls == [
        ("POST", "/auth/logout", 200),
        ("GET", "/nope", 404),
        ("GET", "/health/", 307),
    ]


def test_every_secret_is_known_to_the_api(api: Sandbox, client: Client) -> None:
    api.add_user("user@example.com", "hunter22")
    session = client.log_in(api.admin_email, api.admin_password).json
    minted = client.call(MINT, bearer=session["access_token"], order={}).json["service_token"]
    access = client.call(EXCHANGE, bearer=minted).json["access_token"]
    assert api.secrets == {
        "hunter22",
        api.admin_password,
        session["access_token"],
        session["refresh_token"],
        minted,
        access,
    }


def test_no_repr_shows_a_secret(api: Sandbox) -> None:
    api.issue()
    text = repr((api, api.tokens))
    assert not [secret for secret in api.secrets if secret in text]


def test_two_embedded_apis_have_different_passwords_and_keys(api: Sandbox) -> None:
    token = api.issue()
    with Sandbox() as other:
        assert other.admin_password != api.admin_password
        assert not other.accepts(token)


def test_an_issued_token_looks_as_if_minted_earlier(api: Sandbox) -> None:
    api.issue(days=3)
    api.issue(days=200)
    api.issue(eternal=True)
    api.issue(expires_at=NOON + timedelta(seconds=90), created_at=NOON)
    ages = [NOON - row.created_at for row in api.tokens]
    assert ages == [timedelta(days=87), timedelta(days=1), timedelta(days=1), timedelta(0)]
    assert api.tokens[3].expires_at == NOON + timedelta(seconds=90)
    assert all(api.accepts(row.secret) for row in api.tokens)


def test_what_does_not_exist_cannot_be_revoked_or_exchanged(api: Sandbox) -> None:
    with pytest.raises(KeyError):
        api.revoke("nope")
    with pytest.raises(ValueError, match="refuse"):
        api.access_token_for("nope")


def test_faults_are_served_in_order_to_the_calls_they_are_meant_for(
    api: Sandbox, client: Client, admin: str
) -> None:
    api.misbehave(Fault.too_many(), call="DELETE /auth/admin/service-tokens/{id}")
    api.misbehave(Fault.status(418), call="GET /auth/admin/verify", times=2)
    api.misbehave(Fault.status(419))
    verify = [client.call("GET /auth/admin/verify", bearer=admin).status for _ in range(4)]
    assert verify == [418, 418, 419, 200]
    assert client.call("DELETE /auth/admin/service-tokens/x", bearer=admin).status == 429
    assert client.call("DELETE /auth/admin/service-tokens/x", bearer=admin).status == 404


def test_a_fault_without_a_number_stays_until_told_to_behave(api: Sandbox, client: Client) -> None:
    api.misbehave(Fault.status(418), times=None)
    assert [client.call("GET /health").status for _ in range(3)] == [418, 418, 418]
    api.behave()
    assert client.call("GET /health").status == 200


def test_it_stops_at_once_with_clients_connected_and_calls_in_hand() -> None:
    with Sandbox() as api:
        idle, waiting = Client(api.url), Client(api.url)
        idle.call("GET /health")
        api.misbehave(Fault.delay(FOREVER))
        headers = {"Authorization": f"Bearer {api.access_token()}"}
        waiting.connection.request("POST", "/api/auth/admin/service-tokens", "{}", headers)
        wait_until(lambda: api.tokens)  # the call is in hand once it has minted
        start = time.monotonic()
    assert time.monotonic() - start < PATIENCE
    assert not [t for t in threading.enumerate() if "embedded-api" in t.name]
    with pytest.raises(ConnectionError):
        Client(api.url).call("GET /health")
    idle.close()
    waiting.close()


def test_idle_connections_are_dropped() -> None:
    with Sandbox(idle_timeout=0.02) as api:
        client = Client(api.url)
        client.call("GET /health")
        assert client.connection.sock.recv(1) == b""
        client.close()


def test_delays_of_concurrent_calls_overlap() -> None:
    together = threading.Barrier(8)
    with Sandbox(call_delay=0.05) as api:
        api.misbehave(Fault.meanwhile(lambda: together.wait(PATIENCE), "before"), times=8)
        start = time.monotonic()
        threads = [threading.Thread(target=_ask_for_health, args=[api.url]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert time.monotonic() - start >= 0.05
        assert [status for _, _, status in api.calls] == [200] * 8


def test_a_login_keeps_the_only_worker_busy() -> None:
    with Sandbox(login_cpu=0.1) as api:
        busy, client = Client(api.url), Client(api.url)
        form = urlencode({"username": api.admin_email, "password": api.admin_password})
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        busy.connection.request("POST", "/api/auth/login", form, headers)
        wait_until(lambda: api.calls or _is_at_work(api))
        assert client.call("GET /health").status == 200
        assert api.calls == [("POST", "/auth/login", 200), ("GET", "/health", 200)]
        busy.close()
        client.close()


def _is_at_work(api: Sandbox) -> bool:
    if is_free := api.state.lock.acquire(blocking=False):
        api.state.lock.release()
    return not is_free


def _ask_for_health(url: str) -> None:
    client = Client(url)
    client.call("GET /health")
    client.close()

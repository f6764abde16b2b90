"""The page on a real socket, as clients of all kinds meet it."""

import gzip
import socket
import sys
from collections.abc import Iterator
from datetime import timedelta

import pytest
import requests

from rotator.daemon.health import DaemonPhase
from tests.page import fleets
from tests.page.serving import Served, served
from tests.support.clock import FakeClock
from tests.support.waiting import PATIENCE

SHOWN = fleets.of_three()


@pytest.fixture(scope="module")
def page() -> Iterator[Served]:
    with served(SHOWN.states, tokens=SHOWN.tokens) as page:
        yield page


def said(page: Served, request: str) -> bytes:
    """Return all that is answered to these bytes, until the server hangs up."""
    with socket.create_connection(("127.0.0.1", page.port), timeout=PATIENCE) as line:
        line.sendall(request.encode())
        return b"".join(iter(lambda: line.recv(65536), b""))


def test_the_page_lists_the_tokens(page: Served) -> None:
    answer = page.get()
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    names = ("mars-bot", "luna-bot", "sol-bot")
    places = [answer.text.index(f'data-name="{name}"') for name in names]
    assert places == sorted(places)


def test_every_answer_has_the_headers_that_guard_it_and_no_banner(page: Served) -> None:
    for path in ("", "api/v1/status", "healthz", "readyz", "nothing"):
        headers = page.get(path).headers
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; ")
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert "Server" not in headers
        assert "Access-Control-Allow-Origin" not in headers


def test_the_same_is_there_as_json(page: Served) -> None:
    answer = page.get("api/v1/status")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    fleet = answer.json()
    tokens = {each["name"]: each for each in fleet.pop("tokens")}
    assert fleet == {
        "as_of": "2026-11-23T12:00:00Z",
        "source": "daemon",
        "phase": "running",
        "reload_error": None,
        "counts": {"failing": 1, "ok": 2},
    }
    assert list(tokens) == ["mars-bot", "luna-bot", "sol-bot"]
    mars, sol = tokens["mars-bot"], tokens["sol-bot"]
    assert (mars["state"], mars["tone"], mars["failures"]) == (
        "failing",
        "bad",
        {"store-denied": 4},
    )
    assert len(mars["history"]) == 4
    assert mars["last_failure"] == mars["history"][0]
    assert mars["last_failure"]["at"] == "2026-11-23T11:48:00Z"
    assert "Vault does not let us write it" in mars["last_failure"]["error"]
    assert mars["next"][0] == {"step": "renewal", "at": None, "token_id": None}
    steps = [step["step"] for step in sol["next"]]
    assert steps == ["look", "revocation", "revocation", "renewal", "expiry"]
    waiting, used = sol["old_tokens"]
    assert [step["token_id"] for step in sol["next"][1:3]] == [
        used["token_id"],
        waiting["token_id"],
    ]
    assert (used["state"], sol["next"][1]["at"]) == ("in-use", used["due_at"])


def test_the_life_in_the_json_is_that_of_the_moment_and_not_of_the_last_look() -> None:
    later = FakeClock()
    later.advance(timedelta(days=1))
    with served(SHOWN.states, tokens=SHOWN.tokens, clock=later) as page:
        (luna,) = [t for t in page.get("api/v1/status").json()["tokens"] if t["name"] == "luna-bot"]
    assert (luna["days_left"], luna["seconds_left"]) == (40.3, 3_481_920)
    assert luna["life"] == pytest.approx(40.3 / 90, abs=1e-4)


def test_the_json_tells_that_the_settings_could_not_be_read_again(page: Served) -> None:
    page.health.reload_error = "rotator.toml: [api] url: found …"
    try:
        assert page.get("api/v1/status").json()["reload_error"] == page.health.reload_error
    finally:
        page.health.reload_error = None


def test_the_probes_answer_in_a_line(page: Served) -> None:
    assert (page.get("healthz").status_code, page.get("healthz").text) == (200, "ok\n")
    assert (page.get("readyz").status_code, page.get("readyz").text) == (200, "ready\n")


def test_one_that_stops_is_not_ready(page: Served) -> None:
    page.health.phase = DaemonPhase.STOPPING
    try:
        assert (page.get("readyz").status_code, page.get("readyz").text) == (503, "stopping\n")
        assert page.get("healthz").status_code == 200
        assert "<strong>stopping</strong>" in page.get().text
    finally:
        page.health.phase = DaemonPhase.RUNNING


def test_metrics_show_the_states(page: Served) -> None:
    answer = page.get("metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert 'nocturna_rotator_token_seconds_left{token="luna-bot"}' in answer.text
    assert "\nnocturna_rotator_config_reload_failed 0.0\n" in answer.text
    answer = page.get("metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")


def test_metrics_tell_that_the_settings_could_not_be_read_again(page: Served) -> None:
    page.health.reload_error = "rotator.toml: [api] url: found …"
    try:
        assert "\nnocturna_rotator_config_reload_failed 1.0\n" in page.get("metrics").text
    finally:
        page.health.reload_error = None


@pytest.mark.parametrize("path", ["", "api/v1/status"])
def test_head_has_the_headers_of_get(page: Served, path: str) -> None:
    plain = {"Accept-Encoding": "identity"}
    got = page.get(path, **plain)
    head = requests.head(page.url + path, headers=plain, timeout=PATIENCE)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == str(len(got.content))


def test_it_comes_compressed_to_those_who_can_read_it(page: Served) -> None:
    form = "GET / HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: {}\r\nConnection: close\r\n\r\n"
    for accepted, compressed in (("br, gzip", True), ("gzip;q=0, br", False), ("", False)):
        head, _, body = said(page, form.format(accepted)).partition(b"\r\n\r\n")
        assert (b"Content-Encoding: gzip" in head) == compressed
        assert b"luna-bot" in (gzip.decompress(body) if compressed else body)


def test_another_path_is_not_found(page: Served) -> None:
    answer = page.get("../etc/passwd")
    assert (answer.status_code, answer.text) == (
        404,
        "there is /, /api/v1/status, /healthz, /readyz and /metrics\n",
    )


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "<script>"])
def test_another_method_is_refused(page: Served, method: str) -> None:
    for path in ("/", "/api/v1/status"):
        answer = said(page, f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 405 ")
        assert b"\r\nAllow: GET, HEAD\r\n" in answer
        assert b"script" not in answer


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        ("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nGET /", 400),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length : 5\r\n\r\nGET /", 400),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nx\r\nContent-Length: 5\r\n\r\nGET /", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
        ("GET / HTTP/9.9\r\n\r\n", 505),
        ("hello\r\n\r\n", 400),
        (f"GET /{'a' * 5000} HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
        (f"GET / HTTP/1.1\r\nHost: localhost\r\nA: {'a' * 70000}\r\n\r\n", 431),
    ],
)
def test_what_is_no_plain_request_is_refused_and_ends_the_connection(
    page: Served, request_text: str, status: int
) -> None:
    answer = said(page, request_text)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"Python" not in answer


def test_an_old_client_without_a_host_is_served(page: Served) -> None:
    assert said(page, "GET /healthz HTTP/1.0\r\n\r\n").endswith(b"\r\n\r\nok\n")


@pytest.mark.parametrize(
    "host", ["localhost:8080", "LOCALHOST", "127.0.0.1", "[::1]:1", "127.1.1.1"]
)
def test_this_machine_may_be_called_by_all_its_names(page: Served, host: str) -> None:
    assert page.get("healthz", Host=host).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "[::2]", "a:b:c", "@x"]
)
def test_a_site_whose_name_leads_to_this_machine_gets_nothing(page: Served, host: str) -> None:
    for path in ("", "api/v1/status"):
        answer = page.get(path, Host=host)
        assert answer.status_code == 421
        assert "luna-bot" not in answer.text


def test_a_page_for_others_goes_by_any_name() -> None:
    with served(SHOWN.states, "0.0.0.0") as page:  # noqa: S104 - to be reached by others
        assert page.get("healthz", Host="rotator.bots.svc:9464").status_code == 200


def test_metrics_without_their_library_name_what_to_install(
    page: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "rotator.metrics.exposition", raising=False)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)  # as on a machine without it
    answer = page.get("metrics")
    assert answer.status_code == 501
    assert answer.text == (
        "metrics need prometheus-client: pip install 'nocturna-rotator[metrics]'\n"
    )

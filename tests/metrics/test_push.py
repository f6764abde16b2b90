"""The way through a Pushgateway, over real HTTP."""

import math
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rotator.http.client import Limits
from rotator.metrics.definitions import Samples, measure
from rotator.metrics.exposition import select_lasting
from rotator.metrics.outlets import parse_gateway
from rotator.metrics.publish import NotPushedError, push
from rotator.rotation.model import Action
from rotator.rotation.policy import Status
from tests.kubernetes import certificates
from tests.metrics.pushgateway import Gateway, pushgateway
from tests.metrics.support import LAST_MONTH, every_metric, failed, look, token_states, unknown
from tests.support.clock import NOON

SUCCESS = "nocturna_rotator_last_success_timestamp_seconds"
EXPIRY = "nocturna_rotator_token_expiry_timestamp_seconds"
ATTEMPTS = "nocturna_rotator_attempts_left"
FAILING = "nocturna_rotator_failing"


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    monkeypatch.setenv("NETRC", "/dev/null")
    with pushgateway() as gateway:
        yield gateway


def every() -> Samples:
    return select_lasting(measure(every_metric(), NOON))


def pushed(gateway: Gateway, samples: Samples) -> None:
    push(parse_gateway(gateway.url), samples)


def test_each_token_is_a_group_and_the_version_another(gateway: Gateway) -> None:
    pushed(gateway, every())
    job = "/metrics/job/nocturna-rotator"
    tokens = [f"{job}/token/{name}" for name in ("luna", "sol", "mars")]
    assert list(gateway.groups) == [job, *tokens]
    assert list(gateway.groups[job]) == ["nocturna_rotator_build_info"]
    for path in tokens:
        found = [sample for family in gateway.groups[path].values() for sample in family.samples]
        assert {sample.labels["token"] for sample in found} == {path.rpartition("/")[2]}
    assert gateway.connections == 1


def test_a_failure_leaves_the_last_success(gateway: Gateway) -> None:
    pushed(gateway, measure(token_states(look(Action.KEPT, ended_at=LAST_MONTH)), NOON))
    pushed(gateway, measure(token_states(failed()), NOON))
    assert gateway.number("luna", SUCCESS) == LAST_MONTH.timestamp()
    assert gateway.number("luna", FAILING) == 1


def test_a_run_for_one_token_leaves_the_others(gateway: Gateway) -> None:
    pushed(gateway, measure(token_states(failed(), failed(name="sol")), NOON))
    pushed(gateway, measure(token_states(look(Action.KEPT)), NOON))
    assert (gateway.number("luna", FAILING), gateway.number("sol", FAILING)) == (0, 1)


def test_the_end_of_a_token_stays_while_nobody_can_read_it(gateway: Gateway) -> None:
    pushed(gateway, measure(token_states(look(Action.KEPT)), NOON))
    pushed(gateway, measure(token_states(unknown()), NOON))
    assert gateway.number("luna", EXPIRY) == NOON.timestamp() + 10 * 86400


def test_what_is_no_more_does_not_stay(gateway: Gateway) -> None:
    pushed(gateway, measure(token_states(failed(attempts_left=3)), NOON))
    assert gateway.number("luna", ATTEMPTS) == 3
    eternal = look(Action.ROTATED, Status.ETERNAL, expires_at=None)
    pushed(gateway, measure(token_states(eternal), NOON))
    for metric in (ATTEMPTS, EXPIRY):
        assert math.isnan(gateway.number("luna", metric) or 0), metric


def test_counters_are_not_pushed(gateway: Gateway) -> None:
    pushed(gateway, every())
    names = {name for group in gateway.groups.values() for name in group}
    assert {name for name in names if "rotations" in name or "failures" in name} == {
        "nocturna_rotator_hook_failures"
    }


def test_a_user_in_the_url_logs_in_and_is_not_shown(gateway: Gateway) -> None:
    found = parse_gateway(f"http://ops:p%40ss@127.0.0.1:{gateway.port}/base/")
    push(found, {})
    assert gateway.users == ["ops:p@ss"]
    assert list(gateway.groups) == ["/base/metrics/job/nocturna-rotator"]
    assert found.url == f"{gateway.url}/base"
    assert "p@ss" not in f"{found} {found!r} {found.place}"


def test_plain_http_gets_no_password_out_of_netrc(
    gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ops password netrc-password\n")
    monkeypatch.setenv("NETRC", str(netrc))
    pushed(gateway, every())
    assert set(gateway.users) == {None}


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (302, "redirects are not followed: use the final URL"),
        (401, "check the user and password"),
        (400, "check the URL, and the gateway's log"),
        (500, "check the URL, and the gateway's log"),
    ],
)
def test_an_answer_that_is_no_success_ends_it(gateway: Gateway, status: int, advice: str) -> None:
    gateway.status, gateway.headers = status, {"Location": f"{gateway.url}/else"}
    with pytest.raises(NotPushedError, match=f"^it answered {status}; {advice}$"):
        pushed(gateway, every())
    assert len(gateway.users) == 1


def test_a_gateway_that_answers_without_end_is_left_in_time(gateway: Gateway) -> None:
    gateway.drip = threading.Event()
    with pytest.raises(NotPushedError, match="did not answer in time"):
        push(parse_gateway(gateway.url), every(), limits=Limits(total=0.3))


def test_many_slow_answers_end_in_time(gateway: Gateway) -> None:
    with pytest.raises(NotPushedError, match="its answers take too long"):
        push(parse_gateway(gateway.url), every(), patience=0.0)


def test_nobody_there() -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unheard.getsockname()[1]}"
        with pytest.raises(NotPushedError, match="nothing answers there"):
            push(parse_gateway(url), every())


def test_a_server_without_tls_is_not_spoken_to(gateway: Gateway) -> None:
    url = gateway.url.replace("http://", "https://ops:hunter2@")
    with pytest.raises(NotPushedError, match="TLS") as caught:
        push(parse_gateway(url), every())
    assert "hunter2" not in str(caught.value)
    assert gateway.users == []


def test_a_bundle_that_is_missing_is_named(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
    with pytest.raises(NotPushedError, match="REQUESTS_CA_BUNDLE"):
        push(parse_gateway(gateway.url.replace("http:", "https:")), every())


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    certificates.make(folder, "own", "gateway", "IP:127.0.0.1")
    return folder


def test_a_certificate_that_nobody_vouches_for_is_refused(keys: Path) -> None:
    with pushgateway(certificates.server_tls(keys, "own", "own")) as gateway:
        with pytest.raises(NotPushedError, match="REQUESTS_CA_BUNDLE"):
            pushed(gateway, every())
        assert gateway.users == []


def test_over_trusted_tls_the_password_may_come_out_of_netrc(
    keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ops password netrc-password\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(keys / "own.crt"))
    with pushgateway(certificates.server_tls(keys, "own", "own")) as gateway:
        pushed(gateway, every())
    assert set(gateway.users) == {"ops:netrc-password"}
    assert len(gateway.groups) == 4


@pytest.mark.parametrize(
    "text",
    [
        "",
        "gateway:9091",
        "ftp://hunter2@gateway",
        "https://",
        "https://gateway:99999/hunter2",
        "https://gateway/?hunter2",
        "https://gateway/#hunter2",
        "http://ops:hunter2@gateway:9091",
        "http://[hunter2",
    ],
)
def test_a_wrong_url_is_told_without_it(text: str) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        parse_gateway(text)
    assert "hunter2" not in str(caught.value)


def test_a_right_url_may_have_a_port_a_path_and_a_user() -> None:
    assert parse_gateway("https://push.example.com") == (
        "https://push.example.com",
        "https://push.example.com",
        None,
    )
    assert parse_gateway("https://ops@[::1]:9091/push/") == (
        "https://[::1]:9091/push",
        "https://[::1]:9091",
        ("ops", ""),
    )

"""The client: one for all stores of a process, until its credentials have run out."""

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from backends.aws.clients import share_client, share_throttle
from backends.aws.store import open_store
from rotator.clock import TimeBudget
from rotator.errors import StoreDeniedError, StoreUnreachableError
from rotator.stores.port import parse_url
from rotator.testing.rig import new_secret, read_back
from tests.aws.answering import Endpoint
from tests.aws.site import Site


@pytest.fixture(autouse=True)
def _reachable(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in site.variables(site.upstream).items():
        monkeypatch.setenv(name, value)


def test_all_stores_of_a_region_share_one_client(monkeypatch: pytest.MonkeyPatch) -> None:
    one = share_client("eu-west-1")
    assert share_client("eu-west-1") is one
    assert share_client("eu-north-1") is not one
    monkeypatch.setenv("AWS_SESSION_TOKEN", "another")
    assert share_client("eu-west-1") is not one


def test_waiting_is_bounded() -> None:
    config = share_client("eu-west-1").meta.config
    assert (config.connect_timeout, config.read_timeout) == (5, 15)
    assert config.retries["total_max_attempts"] == 3


def test_times_are_read_whatever_form_they_have() -> None:
    parser = share_client("eu-west-1")._response_parser  # noqa: SLF001 - boto3 shows it nowhere else
    moment = datetime(2026, 11, 23, 9, 12, 33, tzinfo=UTC)
    for text in (moment.timestamp(), int(moment.timestamp()), "2026-11-23T09:12:33Z"):
        assert parser._timestamp_parser(text) == moment  # noqa: SLF001 - the same
    assert parser._timestamp_parser(-1e9).year < 1970  # noqa: SLF001 - the same


def test_a_store_takes_what_the_environment_says(site: Site) -> None:
    site.put(secret := new_secret())
    store = open_store(parse_url(site.store_url, Path()))
    assert read_back(store)[0] == secret
    store.preflight()


def test_the_endpoint_of_this_service_comes_first(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.put(secret := new_secret())
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", site.upstream)
    assert read_back(open_store(parse_url(site.store_url, Path())))[0] == secret


def test_renewed_credentials_are_noticed_by_a_process_that_stays_up(
    site: Site, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = tmp_path / "config"
    monkeypatch.setenv("AWS_CONFIG_FILE", str(settings))
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    site.put(secret := new_secret())
    store = open_store(parse_url(site.store_url, Path()))
    server = endpoint.answer(400, {"__type": "ExpiredTokenException"})
    settings.write_text(f"[default]\nendpoint_url = {server}\n")
    with pytest.raises(StoreDeniedError, match="have expired"):
        store.read()
    # Files are read when a client is made: whatever changed in them shows that it was made again.
    settings.write_text(f"[default]\nendpoint_url = {site.upstream}\n")
    assert read_back(store)[0] == secret


@pytest.mark.parametrize(
    ("status", "code"), [(400, "ThrottlingException"), (429, ""), (503, "InternalFailure")]
)
def test_a_pause_that_aws_asks_of_one_call_is_kept_by_all(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, status: int, code: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.answer(status, {"__type": code}))
    monkeypatch.setattr(time, "sleep", lambda _: None)  # of botocore, before it tries again
    place = (f"eu-west-{status}", "secretsmanager", 2)
    with pytest.raises(ClientError):
        share_client(*place).get_secret_value(SecretId="luna")
    monkeypatch.undo()
    with TimeBudget(0.0).spending(), pytest.raises(TimeoutError):
        share_throttle(*place).begin()


def test_a_call_that_is_refused_asks_for_no_pause(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = endpoint.answer(400, {"__type": "AccessDeniedException"})
    monkeypatch.setenv("AWS_ENDPOINT_URL", answer)
    place = ("eu-west-9", "secretsmanager", 2)
    with pytest.raises(ClientError):
        share_client(*place).get_secret_value(SecretId="luna")
    with TimeBudget(0.0).spending(), share_throttle(*place).exchange():
        pass


def test_a_store_that_gets_no_turn_in_time_is_unreachable(site: Site) -> None:
    store = open_store(parse_url(site.store_url, Path())._replace(connections=1))
    region = site.store_url.partition("region=")[2].partition("#")[0]
    busy = share_throttle(region, "secretsmanager", 1).exchange()
    with busy, TimeBudget(0.0).spending(), pytest.raises(StoreUnreachableError) as caught:
        store.read()
    assert (
        str(caught.value)
        == f"{store.url}: AWS has too much to do for this process: try again later"
    )

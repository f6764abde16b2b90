"""A call ends in time, whatever an endpoint sends, and however slowly."""

import socket
from pathlib import Path

import boto3
import botocore.config
import pytest

from backends.aws.address import AwsAddress
from backends.aws.clients import new_client
from backends.aws.store import SecretsManagerStore
from rotator.clock import TimeBudget
from rotator.errors import StoreDeniedError, StoreUnreachableError
from rotator.stores.port import parse_url
from tests.aws.site import REGION, Aws
from tests.http_client.support import (
    DRIPS,
    RawServer,
    Script,
    Timer,
    deaf_name_servers,
    ok,
    raw_server,
)
from tests.support.waiting import PATIENCE

URL = "aws-secretsmanager://bots/luna?region=eu-west-1#T"
KEYS = {"aws_access_key_id": "AKIA", "aws_secret_access_key": "hunter2"}
SECRET = b'{"Name": "bots/luna", "VersionIdsToStages": {}}'


def store_at(server: str, *, attempts: int = 1, patience: float = 0.3) -> SecretsManagerStore:
    address = AwsAddress.parse(parse_url(URL, Path()), lambda: REGION)
    client = new_client(REGION, attempts=attempts, endpoint_url=server, **KEYS)
    return SecretsManagerStore(address, lambda: client, patience)


@pytest.mark.sample(4)
@pytest.mark.parametrize("script", DRIPS.values(), ids=DRIPS.keys())
@pytest.mark.parametrize("attempts", [pytest.param(1, marks=pytest.mark.long), 3])
def test_a_drip_ends_in_time(script: Script, attempts: int) -> None:
    timer = Timer()
    with raw_server(script) as server:
        store = store_at(server.url, attempts=attempts)
        with pytest.raises(StoreUnreachableError, match="in eu-west-1 does not answer"):
            store.read()
    assert timer.seconds < PATIENCE


def test_name_servers_that_do_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    timer = Timer()
    with deaf_name_servers(monkeypatch):
        store = store_at("http://aws.example")
        with pytest.raises(StoreUnreachableError, match="in eu-west-1 does not answer"):
            store.read()
    assert timer.seconds < PATIENCE


def test_an_answer_that_is_too_large_is_not_read_to_its_end() -> None:
    sent: list[int] = []

    def flood(server: RawServer, connection: socket.socket) -> None:
        server.read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(64):
            connection.sendall(b" " * (1 << 20))
            sent.append(1)

    with raw_server(flood) as server:
        store = store_at(server.url, patience=PATIENCE)
        with pytest.raises(StoreUnreachableError, match="does not answer"):
            store.read()
    assert len(sent) < 32


def test_a_drip_of_the_credentials_ends_in_time(
    monkeypatch: pytest.MonkeyPatch, aws: Aws, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("a-token")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/rotator")
    timer = Timer()
    with raw_server(DRIPS["headers"]) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        address = AwsAddress.parse(parse_url(URL, Path()), lambda: REGION)
        client = new_client(REGION, endpoint_url=aws.upstream)
        with pytest.raises(StoreUnreachableError):
            SecretsManagerStore(address, lambda: client, 2.0).read()
        assert server.requests
    assert timer.seconds < PATIENCE


@pytest.mark.sample(5)
@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("sleep 3600", r"did not end within 0\.\d+ seconds: run it by hand"),
        ("yes", "prints more than 1 MiB"),
        ("false", "failed with exit status 1"),
        ("no-such-program", "cannot be started"),
        ("echo hello", r"prints no credentials \(JSON with Version 1 and both keys\)"),
        ("echo []", "prints no credentials"),
        ('echo {"Version":1}', "prints no credentials"),
    ],
)
@pytest.mark.parametrize("profile", ["direct", "assuming"])
def test_a_credential_process_is_bounded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str, told: str, profile: str
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    config = tmp_path / "config"
    config.write_text(
        f"[profile direct]\ncredential_process = {program}\n"
        "[profile assuming]\nsource_profile = direct\n"
        "role_arn = arn:aws:iam::123456789012:role/rotator\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_PROFILE", profile)
    address = AwsAddress.parse(parse_url(URL, Path()), lambda: REGION)
    store = SecretsManagerStore(address, lambda: new_client(REGION))
    budget = TimeBudget(0.9 if program == "sleep 3600" else PATIENCE)
    with budget.spending(), pytest.raises(StoreDeniedError, match=told) as caught:
        store.read()
    assert str(caught.value).startswith(f"{store.url}: the credential_process of the AWS profile ")


def test_clients_that_are_not_ours_have_their_own_time() -> None:
    def slow(server: RawServer, connection: socket.socket) -> None:
        if server.read_head(connection):
            for byte in ok(SECRET, b"Content-Type: application/x-amz-json-1.1"):
                server.is_over.wait(0.005)
                connection.sendall(bytes([byte]))

    with raw_server(slow) as server:
        store_at(server.url)
        config = botocore.config.Config(retries={"total_max_attempts": 1})
        client = boto3.client(
            "secretsmanager", region_name=REGION, endpoint_url=server.url, config=config, **KEYS
        )
        assert client.describe_secret(SecretId="bots/luna")["Name"] == "bots/luna"

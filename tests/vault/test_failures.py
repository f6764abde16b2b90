"""Servers that do not answer, or answer something else: a line of its own for each."""

import json
import socket
import sys
import threading
from pathlib import Path
from typing import NoReturn

import pytest
import requests

from backends.remote import require_module
from backends.vault.store import open_store
from rotator.errors import ConfigError, StoreError, StoreUnreachableError
from rotator.http.client import BoundedSession
from rotator.stores.port import parse_url
from rotator.stores.registry import Backends
from rotator.testing.rig import new_journal, new_secret
from tests.vault.bao import ROOT, free_port, sealed_server
from tests.vault.helpers import URL, open_vault, read_failure
from tests.vault.stand_in import answer_all

SECRET = "eyJ.made-up.secret"


def test_a_sealed_server_is_told(tmp_path: Path) -> None:
    with sealed_server(tmp_path) as port:
        assert "the server is sealed: unseal it" in read_failure(
            {"VAULT_ADDR": f"http://127.0.0.1:{port}"}
        )


def test_an_address_where_nothing_listens_is_told() -> None:
    address = f"https://127.0.0.1:{free_port()}"
    assert f"nothing listens at {address} (VAULT_ADDR)" in read_failure({"VAULT_ADDR": address})


def test_a_host_that_nobody_knows_is_told() -> None:
    assert "the host is not known" in read_failure({"VAULT_ADDR": "https://vault.invalid"})


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (412, {"errors": ["required index state not present"]}, "lags behind"),
        (429, {"errors": ["request path: rate limit quota exceeded"]}, "too many requests"),
        (500, {"errors": [SECRET]}, r"not able to answer now \(500\)"),
        (501, {"errors": []}, "not initialized"),
        (503, {"errors": ["error performing token check: Vault is sealed"]}, "is sealed"),
        (503, "<html>", r"not able to answer now \(503\)"),
        (404, "<html>not found</html>", r"no Vault or OpenBao \(404\)"),
        (404, {"error": "not found"}, r"no Vault or OpenBao \(404\): correct VAULT_ADDR"),
        (403, {"kind": "Status"}, r"no Vault or OpenBao \(403\)"),
        (403, "<html>", r"no Vault or OpenBao \(403\)"),
        (200, "hello", "no Vault or OpenBao"),
        (200, [1, 2], "no Vault or OpenBao"),
        (200, {"data": {"data": {}, "metadata": None}}, "no KV mount"),
        (400, {"errors": [SECRET]}, r"answer is unexpected \(400\)"),
        (418, "[" * 100_000, "no Vault or OpenBao"),
    ],
)
def test_an_odd_answer_is_told_and_not_repeated(
    status: int, body: object, sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    with answer_all(status, content) as (address, _):
        store = open_vault(URL, {"VAULT_TOKEN": ROOT, "VAULT_ADDR": address})
        with pytest.raises(StoreError, match=sentence) as caught:
            store.read()
    assert SECRET not in str(caught.value) + caplog.text
    assert "\n" not in str(caught.value)


def test_a_write_that_is_refused_is_no_lost_race() -> None:
    about = {"data": {"data": {"A": 1}, "metadata": {"version": 1}}}
    refused = (400, json.dumps({"errors": ["the value is not allowed here"]}).encode())
    answers = {"POST": refused, "PATCH": (204, b"")}
    with answer_all(200, json.dumps(about).encode(), answers) as (address, seen):
        store = open_vault(URL, {"VAULT_TOKEN": ROOT, "VAULT_ADDR": address})
        version = store.read().version
        with pytest.raises(StoreError, match=r"answer is unexpected \(400\)"):
            store.write(new_secret(), new_journal(), expected=version)
    assert [each.split()[0] for each in seen].count("POST") == 1


def test_an_answer_without_an_end_is_given_up() -> None:
    with answer_all(200, b" " * (5 << 20)) as (address, _):
        assert "no answer of Vault is as long as that of http://" in read_failure(
            {"VAULT_ADDR": address}
        )


def test_a_redirect_is_not_followed() -> None:
    with (
        answer_all(200, b"{}") as (elsewhere, followed),
        answer_all(307, b"", Location=f"{elsewhere}/v1/secret/data/bots/luna") as (address, _),
    ):
        assert "the server redirects (307)" in read_failure({"VAULT_ADDR": address})
        assert followed == []


def test_a_server_that_is_too_old_to_patch_metadata_is_told() -> None:
    body = json.dumps({"errors": ["unsupported operation"]}).encode()
    with answer_all(405, body) as (address, _):
        assert "update it to Vault 1.9 or later" in read_failure(
            {"VAULT_ADDR": address}, StoreError
        )


def test_credentials_of_a_netrc_are_not_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login luna password a-password\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with answer_all(503, b"{}") as (address, seen):
        read_failure({"VAULT_ADDR": address})
    assert seen
    assert {request.split()[-1] for request in seen} == {"None"}


def test_what_is_no_http_is_not_repeated_in_any_log(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def babble() -> None:
            for _ in range(3):  # the read and its two retries
                connection, _ = server.accept()
                with connection:
                    connection.recv(1 << 16)
                    connection.sendall(f"{SECRET}\r\n\r\n".encode())

        thread = threading.Thread(target=babble, daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        store = open_vault(URL, {"VAULT_TOKEN": ROOT, "VAULT_ADDR": address})
        with pytest.raises(StoreUnreachableError, match="broke off"):
            store.read()
        thread.join()
    assert SECRET not in caplog.text


def test_http_to_another_machine_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    address = "http://vault.invalid:8200"
    read_failure({"VAULT_ADDR": address})
    assert f"VAULT_ADDR is {address}: the network can read the tokens" in caplog.text


def test_a_library_that_is_missing_is_told_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hvac", None)
    require_module.cache_clear()
    with pytest.raises(ModuleNotFoundError) as caught:
        open_store(parse_url(URL, Path()))
    assert caught.value.name == "hvac"


def test_a_wrong_variable_is_a_mistake_of_the_config(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_ADDR", "vault:8200")
    with pytest.raises(ConfigError, match="VAULT_ADDR"):
        Backends().open(URL, Path())


@pytest.mark.parametrize(
    ("variables", "where"),
    [
        ({"VAULT_ADDR": "https://v"}, "https://v (VAULT_ADDR)"),
        ({"BAO_ADDR": "https://v"}, "https://v (BAO_ADDR)"),
        ({}, "https://127.0.0.1:8200, the default: set VAULT_ADDR"),
    ],
)
def test_a_time_out_is_told(
    variables: dict[str, str], where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def time_out(*_: object, **__: object) -> NoReturn:
        raise requests.ReadTimeout(TimeoutError())

    monkeypatch.setattr(BoundedSession, "request", time_out)
    assert f": no answer in time from {where}" in read_failure(variables)


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("answer", [(200, b"<html>"), (200, b"{}"), (200, b'{"data": {}}')])
def test_a_success_that_is_none_of_vaults_is_not_believed(
    method: str, answer: tuple[int, bytes]
) -> None:
    nothing = json.dumps({"request_id": "1", "data": {"metadata": {"version": 1}, "data": {}}})
    well = (204, b"")
    other = {"GET": (200, nothing.encode()), "PATCH": well, method: answer}
    with answer_all(204, b"", other) as (address, _):
        store = open_vault("vault://secret/luna", {"VAULT_ADDR": address, "VAULT_TOKEN": "t"})
        found = store.read()
        with pytest.raises(StoreUnreachableError):
            store.write(new_secret(), new_journal(), expected=found.version)


def test_a_write_that_is_answered_with_another_version_is_no_success() -> None:
    read = json.dumps({"request_id": "1", "data": {"metadata": {"version": 1}, "data": {}}})
    written = json.dumps({"request_id": "2", "data": {"version": 7}})
    other = {"PATCH": (204, b""), "POST": (200, written.encode())}
    with answer_all(200, read.encode(), other) as (address, _):
        store = open_vault("vault://secret/luna", {"VAULT_ADDR": address, "VAULT_TOKEN": "t"})
        with pytest.raises(StoreError, match=r"answer is unexpected \(200\)"):
            store.write(new_secret(), new_journal(), expected=store.read().version)


def test_a_server_on_this_machine_is_not_reached_through_a_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nothing = json.dumps({"request_id": "1", "data": {"metadata": {"version": 1}, "data": {}}})
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with answer_all(200, nothing.encode()) as (address, seen):
        open_vault("vault://secret/luna", {"VAULT_ADDR": address, "VAULT_TOKEN": "t"}).read()
    assert seen[-1].startswith("GET /v1/secret/data/luna")

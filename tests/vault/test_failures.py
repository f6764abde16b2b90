"""Servers that do not answer, or not as they should: each is told in one line of its own."""

import json
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from backends._vault.connection import no_answer
from backends.vault import open_store
from rotator.errors import ConfigError, StoreError, StoreUnreachableError
from rotator.registry import Backends, parse_url
from rotator.testing.rig import new_journal, new_secret, write
from tests.vault.bao import ROOT, Bao, dev_server, free_port, sealed_server
from tests.vault.helpers import opened
from tests.vault.stand_in import answering

URL = "vault://secret/bots/luna"
SECRET = "eyJ.made-up.secret"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """Yield the port of a server with a certificate, and the file of its CA."""
    folder = tmp_path_factory.mktemp("tls")
    with dev_server(folder, "-dev-tls", f"-dev-tls-cert-dir={folder}") as port:
        yield port, next(folder.glob("*ca.pem"))


def told(variables: dict[str, str], kind: type[StoreError] = StoreUnreachableError) -> str:
    """Return what a store says of this server, to all four calls the same."""
    store = opened(URL, {"VAULT_TOKEN": ROOT} | variables)
    texts = set()
    for act in (
        store.read,
        store.preflight,
        lambda: store.write(SECRET, new_journal(), expected="x"),
        lambda: store.note(new_journal(), expected="x"),
    ):
        with pytest.raises(kind) as caught:
            act()
        texts.add(str(caught.value))
    [text] = texts
    assert text.startswith(f"{store.url}: ")
    assert "\n" not in text
    assert ROOT not in text
    return text


def test_a_sealed_server_is_told(tmp_path: Path) -> None:
    with sealed_server(tmp_path) as port:
        assert "the server is sealed: unseal it" in told({"VAULT_ADDR": f"http://127.0.0.1:{port}"})


def test_an_address_where_nothing_listens_is_told() -> None:
    address = f"https://127.0.0.1:{free_port()}"
    assert f"nothing listens at {address} (VAULT_ADDR)" in told({"VAULT_ADDR": address})


def test_a_host_that_nobody_knows_is_told() -> None:
    assert "the host is not known" in told({"VAULT_ADDR": "https://vault.invalid"})


def test_a_certificate_is_verified_by_the_ca_that_is_given(tls: tuple[int, Path]) -> None:
    port, ca = tls
    address = {"VAULT_ADDR": f"https://127.0.0.1:{port}"}
    assert "is not trusted (unable to get local issuer certificate): set VAULT_CACERT" in told(
        address
    )
    Bao(address["VAULT_ADDR"], ca).wait_for("secret")
    for trust in ({"VAULT_CACERT": str(ca)}, {"VAULT_SKIP_VERIFY": "true"}):
        store = opened(URL, address | {"VAULT_TOKEN": ROOT} | trust)
        write(store, new_secret(), new_journal())


def test_a_ca_file_that_is_not_there_is_told(tls: tuple[int, Path]) -> None:
    variables = {"VAULT_ADDR": f"https://127.0.0.1:{tls[0]}", "VAULT_CACERT": "/not/there"}
    assert "a certificate file is not there: see VAULT_CACERT" in told(variables)


def test_http_and_https_are_not_taken_for_each_other(bao: Bao, tls: tuple[int, Path]) -> None:
    assert "begin VAULT_ADDR with https://" in told({"VAULT_ADDR": f"http://127.0.0.1:{tls[0]}"})
    assert "there is no TLS at" in told({"VAULT_ADDR": bao.url.replace("http:", "https:")})


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
        (404, {"error": "not found"}, "none that Vault gives"),
        (200, "hello", "no Vault or OpenBao"),
        (200, [1, 2], "no Vault or OpenBao"),
        (200, {"data": {"data": {}, "metadata": None}}, "no KV mount"),
        (400, {"errors": [SECRET]}, r"none that Vault gives here \(400\)"),
        (418, "[" * 100_000, "no Vault or OpenBao"),
    ],
)
def test_an_odd_answer_is_told_and_not_repeated(
    status: int, body: object, sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    with answering(status, content) as (address, _):
        store = opened(URL, {"VAULT_TOKEN": ROOT, "VAULT_ADDR": address})
        with pytest.raises(StoreError, match=sentence) as caught:
            store.read()
    assert SECRET not in str(caught.value) + caplog.text
    assert "\n" not in str(caught.value)


def test_an_answer_without_an_end_is_given_up() -> None:
    with answering(200, b" " * (5 << 20)) as (address, _):
        assert "the answer is longer than 4194304 B" in told({"VAULT_ADDR": address})


def test_a_redirect_is_not_followed() -> None:
    with (
        answering(200, b"{}") as (elsewhere, followed),
        answering(307, b"", Location=f"{elsewhere}/v1/secret/data/bots/luna") as (address, _),
    ):
        assert "the server redirects (307)" in told({"VAULT_ADDR": address})
        assert followed == []


def test_a_server_that_is_too_old_to_patch_metadata_is_told() -> None:
    body = json.dumps({"errors": ["unsupported operation"]}).encode()
    with answering(405, body) as (address, _):
        assert "update it to Vault 1.9 or later" in told({"VAULT_ADDR": address}, StoreError)


def test_credentials_of_a_netrc_are_not_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login luna password a-password\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with answering(503, b"{}") as (address, seen):
        told({"VAULT_ADDR": address})
    assert seen
    assert {request.split()[-1] for request in seen} == {"None"}


def test_what_is_no_http_is_not_repeated_in_any_log(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def babble() -> None:
            for _ in range(3):  # the read and its two repetitions
                connection, _ = server.accept()
                with connection:
                    connection.recv(1 << 16)
                    connection.sendall(f"{SECRET}\r\n\r\n".encode())

        thread = threading.Thread(target=babble, daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        store = opened(URL, {"VAULT_TOKEN": ROOT, "VAULT_ADDR": address})
        with pytest.raises(StoreUnreachableError, match="broke off"):
            store.read()
        thread.join()
    assert "Retrying" in caplog.text
    assert SECRET not in caplog.text


def test_http_to_another_machine_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    address = "http://vault.invalid:8200"
    told({"VAULT_ADDR": address})
    assert f"VAULT_ADDR is {address}: the network can read the tokens" in caplog.text


def test_a_library_that_is_missing_is_told_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hvac", None)
    with pytest.raises(ModuleNotFoundError) as caught:
        open_store(parse_url(URL, Path()))
    assert caught.value.name == "hvac"


def test_a_wrong_variable_is_a_mistake_of_the_config(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_ADDR", "vault:8200")
    with pytest.raises(ConfigError, match="VAULT_ADDR"):
        Backends().open(URL, Path())


def test_a_time_out_is_told() -> None:
    error = requests.ReadTimeout("slow")
    error.__cause__ = TimeoutError()
    told = no_answer(error, "https://v", is_default=False)
    assert told.sentence == "no answer in time from https://v (VAULT_ADDR)"
    told = no_answer(error, "https://v", is_default=True)
    assert told.sentence == "no answer in time from https://v, the default: set VAULT_ADDR"

"""Which servers are believed, and what is said of certificates that cannot be."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import certifi
import pytest

from backends.vault.session import open_client
from backends.vault.settings import VaultSettings
from rotator.errors import StoreUnreachableError
from rotator.testing.rig import new_journal, new_secret, write
from tests.vault.bao import ROOT, Bao, dev_server, sealed_server
from tests.vault.helpers import URL, open_vault, read_failure

UNTRUSTED = "is not trusted (unable to get local issuer certificate): set"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Run a server; yield its address, and the folder of its certificate, key and CA."""
    keys = tmp_path_factory.mktemp("tls")
    with dev_server(keys, "-dev-tls", f"-dev-tls-cert-dir={keys}") as port:
        url = f"https://127.0.0.1:{port}"
        Bao(url, keys / "vault-ca.pem").wait_for("secret")
        yield url, keys


@pytest.fixture
def address(server: tuple[str, Path]) -> str:
    return server[0]


@pytest.fixture
def keys(server: tuple[str, Path]) -> Path:
    return server[1]


@pytest.fixture
def folder(keys: Path, tmp_path: Path) -> Path:
    """Return a folder with the CA under a name that OpenSSL would not look for."""
    (tmp_path / "cas" / "ours").mkdir(parents=True)
    shutil.copy(keys / "vault-ca.pem", tmp_path / "cas" / "ours" / "luna.txt")
    shutil.copy(certifi.where(), tmp_path / "cas")
    shutil.copy(keys / "vault-key.pem", tmp_path / "cas")
    (tmp_path / "cas" / "README").write_text("ours is in ours\n")
    (tmp_path / "cas" / "gone.pem").symlink_to("not-there")
    return tmp_path / "cas"


def works(address: str, **variables: str) -> None:
    store = open_vault(URL, {"VAULT_ADDR": address, "VAULT_TOKEN": ROOT} | variables)
    write(store, new_secret(), new_journal())


def test_an_authority_is_believed_when_it_is_given(address: str, keys: Path, folder: Path) -> None:
    assert f"{UNTRUSTED} VAULT_CACERT" in read_failure({"VAULT_ADDR": address})
    works(address, VAULT_CACERT=str(keys / "vault-ca.pem"))
    works(address, VAULT_CAPATH=str(folder))
    works(address, VAULT_CAPATH=str(keys / "vault-ca.pem"))
    works(address, VAULT_SKIP_VERIFY="true", VAULT_CACERT="/not/there")


def test_the_certificate_of_the_server_alone_is_enough(address: str, keys: Path) -> None:
    works(address, VAULT_CACERT=str(keys / "vault-cert.pem"))


def test_an_authority_that_is_given_is_the_only_one(
    address: str, keys: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(keys / "vault-ca.pem"))
    works(address)
    shutil.rmtree(folder / "ours")
    for variables in ({"BAO_CACERT": certifi.where()}, {"VAULT_CAPATH": str(folder)}):
        assert UNTRUSTED in read_failure({"VAULT_ADDR": address} | variables)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/not/there")
    works(address, VAULT_CACERT=str(keys / "vault-ca.pem"))


def test_an_authority_that_was_replaced_is_read_again(
    address: str, keys: Path, tmp_path: Path
) -> None:
    file = tmp_path / "ca.pem"
    shutil.copy(certifi.where(), file)
    variables = {"VAULT_ADDR": address, "VAULT_TOKEN": ROOT, "VAULT_CACERT": str(file)}
    store = open_vault(URL, variables)
    with pytest.raises(StoreUnreachableError, match="is not trusted"):
        store.read()
    shutil.copy(keys / "vault-ca.pem", file)
    store.read()


def test_files_that_are_no_authorities_are_named(address: str, tmp_path: Path) -> None:
    (tmp_path / "README").write_text("nothing is here\n")
    for variable, path, sentence in (
        ("VAULT_CACERT", "/not/there", "cannot be read (No such file or directory): correct it"),
        ("VAULT_CACERT", "/etc/passwd", "holds no certificate in PEM: correct it"),
        ("BAO_CACERT", "/etc", "is a folder: name a file, or set VAULT_CAPATH instead"),
        ("VAULT_CAPATH", "/not/there", "cannot be read (No such file or directory): correct it"),
        ("BAO_CAPATH", str(tmp_path), "holds no certificate in PEM: correct it"),
    ):
        said = read_failure({"VAULT_ADDR": address, variable: path})
        assert f"{path} ({variable}) {sentence}" in said


def test_a_client_certificate_is_shown(keys: Path, tmp_path: Path) -> None:
    """A server that is sealed says so to those whose certificate it has accepted."""
    listener = (
        f'tls_cert_file = "{keys}/vault-cert.pem"\n  tls_key_file = "{keys}/vault-key.pem"\n'
        f'  tls_client_ca_file = "{keys}/vault-ca.pem"\n'
        "  tls_require_and_verify_client_cert = true"
    )
    with sealed_server(tmp_path, listener) as port:
        server = {
            "VAULT_ADDR": f"https://127.0.0.1:{port}",
            "VAULT_CACERT": str(keys / "vault-ca.pem"),
        }
        assert "the server is sealed" not in read_failure(server)
        shown = {
            "VAULT_CLIENT_CERT": str(keys / "vault-cert.pem"),
            "VAULT_CLIENT_KEY": str(keys / "vault-key.pem"),
        }
        assert "the server is sealed" in read_failure(server | shown)
        missing = {"VAULT_CLIENT_CERT": "/not/there"}
        assert (
            "a certificate file cannot be used (No such file or directory): see VAULT_CLIENT"
            in read_failure(server | missing)
        )


def test_hvac_uses_no_variables_that_it_reads_by_itself(
    address: str, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("VAULT_CACERT", "VAULT_CAPATH", "VAULT_CLIENT_CERT", "VAULT_CLIENT_KEY"):
        monkeypatch.setattr(f"hvac.v1.{name}", "/not/there")
    monkeypatch.setenv("VAULT_ADDR", "https://127.0.0.1:1")
    monkeypatch.setenv("VAULT_TOKEN", "not-ours")
    works(address, VAULT_CACERT=str(keys / "vault-ca.pem"))
    assert not open_client(VaultSettings.parse({"VAULT_ROLE_ID": "r"}), "").token


def test_http_and_https_are_not_taken_for_each_other(bao: Bao, address: str) -> None:
    of_https = read_failure({"BAO_ADDR": address.replace("https:", "http:")})
    assert "begin BAO_ADDR with https://" in of_https
    assert "there is no TLS at" in read_failure({"VAULT_ADDR": bao.url.replace("http:", "https:")})

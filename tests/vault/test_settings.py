"""The variables: what they mean together, and what is said of wrong ones."""

from pathlib import Path

import pytest

from backends.vault.failures import VariableNames
from backends.vault.logins import AppRole, GivenToken, Jwt, TokenFile
from backends.vault.settings import VaultSettings
from rotator.errors import ConfigError

POD = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


def test_nothing_set_means_what_it_means_to_the_command() -> None:
    settings = VaultSettings.parse({"HOME": "/home/luna"})
    assert (settings.address, settings.is_default) == ("https://127.0.0.1:8200", True)
    assert settings.verify is True
    assert settings.namespace is None
    assert settings.login == TokenFile(Path("/home/luna/.vault-token"))


def test_the_names_of_openbao_win() -> None:
    settings = VaultSettings.parse(
        {"VAULT_ADDR": "https://v", "BAO_ADDR": "https://b/", "BAO_TOKEN": "", "VAULT_TOKEN": "t"}
    )
    assert settings.address == "https://b"
    assert settings.login == GivenToken("t")


@pytest.mark.parametrize(
    ("variables", "login"),
    [
        ({"VAULT_TOKEN": "t"}, GivenToken("t")),
        (
            {"VAULT_ROLE_ID": "r", "VAULT_SECRET_ID": "s"},
            AppRole("approle", "r", "s", None),
        ),
        (
            {"VAULT_ROLE_ID": "r", "BAO_SECRET_ID_FILE": "/s", "VAULT_AUTH_PATH": "auth/my/roles/"},
            AppRole("my/roles", "r", None, Path("/s")),
        ),
        ({"VAULT_ROLE_ID": "r"}, AppRole("approle", "r", None, None)),
        (
            {"VAULT_AUTH_METHOD": "approle", "VAULT_ROLE_ID": "r", "VAULT_TOKEN": "t"},
            AppRole("approle", "r", None, None),
        ),
        (
            {"VAULT_AUTH_METHOD": "token", "VAULT_ROLE_ID": "r", "VAULT_TOKEN": "t"},
            GivenToken("t"),
        ),
        ({"VAULT_AUTH_METHOD": "kubernetes", "VAULT_ROLE": "r"}, Jwt("kubernetes", "r", POD)),
        (
            {"VAULT_AUTH_METHOD": "jwt", "VAULT_ROLE": "r", "VAULT_JWT_FILE": "/j"},
            Jwt("jwt", "r", Path("/j")),
        ),
    ],
)
def test_a_login_is_chosen_by_what_is_set(variables: dict[str, str], login: object) -> None:
    assert VaultSettings.parse(variables).login == login


def test_a_client_certificate_may_have_its_key_in_the_same_file() -> None:
    cert, key = {"VAULT_CLIENT_CERT": "/c"}, {"VAULT_CLIENT_KEY": "/k"}
    assert VaultSettings.parse(cert).client_cert == "/c"
    assert VaultSettings.parse(cert | key).client_cert == ("/c", "/k")


@pytest.mark.parametrize(
    ("variables", "verify"),
    [
        ({"VAULT_CACERT": "/ca", "VAULT_CAPATH": "/cas"}, True),
        ({"VAULT_SKIP_VERIFY": "false"}, True),
        ({"VAULT_SKIP_VERIFY": "true", "VAULT_ADDR": "https://localhost:1"}, False),
        ({"BAO_SKIP_VERIFY": "1", "BAO_ADDR": "https://[::1]:1"}, False),
    ],
)
def test_certificates_are_verified(variables: dict[str, str], verify: object) -> None:
    assert VaultSettings.parse(variables).verify == verify


def test_a_file_of_authorities_wins_over_a_folder() -> None:
    folder = {"VAULT_CAPATH": "/cas"}
    for variables, authorities in (
        ({}, None),
        (folder, ("VAULT_CAPATH", Path("/cas"))),
        (folder | {"BAO_CACERT": "/ca"}, ("VAULT_CACERT", Path("/ca"))),
    ):
        assert VaultSettings.parse(variables).authorities == authorities


@pytest.mark.parametrize(
    ("address", "is_plain"),
    [
        ("http://vault.example.com:8200", True),
        ("http://127.0.0.1.example.com", True),
        ("https://vault.example.com:8200", False),
        ("http://localhost:8200", False),
        ("http://127.0.0.1:8200", False),
        ("http://[::1]:8200", False),
    ],
)
def test_only_http_to_another_machine_can_be_read_on_the_way(
    address: str, *, is_plain: bool
) -> None:
    assert VaultSettings.parse({"VAULT_ADDR": address, "VAULT_TOKEN": "t"}).is_plain is is_plain


@pytest.mark.parametrize(
    ("variables", "names"),
    [
        ({"VAULT_ADDR": "vault.example.com"}, "VAULT_ADDR"),
        ({"VAULT_ADDR": "unix:///run/vault.sock"}, "VAULT_ADDR"),
        ({"VAULT_ADDR": "https://[half"}, "VAULT_ADDR"),
        ({"VAULT_ADDR": "https://h:port"}, "VAULT_ADDR"),
        ({"VAULT_ADDR": "https://:8200"}, "VAULT_ADDR is no address"),
        ({"VAULT_ADDR": "https://h?token=s3cret"}, "VAULT_ADDR is no address"),
        ({"VAULT_ADDR": "https://h#s3cret"}, "VAULT_ADDR is no address"),
        ({"BAO_ADDR": "https://user:s3cret@h"}, "BAO_ADDR"),
        ({"VAULT_ADDR": "https://h/a b"}, "VAULT_ADDR is no address"),
        ({"VAULT_ADDR": "https://h/\x7f"}, "VAULT_ADDR holds"),
        ({"VAULT_ADDR": "https://h/v1/"}, "VAULT_ADDR ends with /v1"),
        ({"VAULT_NAMESPACE": "a b"}, "VAULT_NAMESPACE"),
        ({"VAULT_SKIP_VERIFY": "1", "VAULT_ADDR": "https://h"}, "VAULT_CACERT"),
        ({"VAULT_TOKEN": "s3cret\n"}, "VAULT_TOKEN"),
        ({"VAULT_TOKEN": "s3cret", "VAULT_ROLE_ID": "r"}, "VAULT_AUTH_METHOD"),
        ({"VAULT_ROLE_ID": "s3cret\r"}, "VAULT_ROLE_ID has line breaks"),
        ({"VAULT_ROLE_ID": "r", "VAULT_SECRET_ID": "s3cret\n"}, "VAULT_SECRET_ID has line breaks"),
        ({"VAULT_AUTH_METHOD": "jwt", "VAULT_ROLE": "s3cret\x1b"}, "VAULT_ROLE has line breaks"),
        ({"VAULT_SECRET_ID": "s3cret"}, "VAULT_ROLE_ID"),
        ({"VAULT_ROLE_ID": "r", "VAULT_SECRET_ID": "s3cret", "VAULT_SECRET_ID_FILE": "/f"}, "both"),
        ({"VAULT_ROLE": "r"}, "VAULT_AUTH_METHOD to kubernetes or jwt"),
        ({"VAULT_AUTH_METHOD": "jwt"}, "VAULT_ROLE"),
        ({"VAULT_AUTH_METHOD": "ldap"}, "token, approle, kubernetes, jwt"),
        ({"VAULT_ROLE_ID": "r", "VAULT_AUTH_PATH": "../../sys"}, "VAULT_AUTH_PATH"),
        ({"BAO_AUTH_METHOD": "jwt"}, "BAO_AUTH_METHOD=jwt needs VAULT_ROLE"),
        ({"BAO_TOKEN": "s3cret", "VAULT_ROLE_ID": "r"}, "BAO_TOKEN and VAULT_ROLE_ID"),
    ],
)
def test_a_mistake_is_told_by_the_name_of_its_variable(
    variables: dict[str, str], names: str
) -> None:
    with pytest.raises(ConfigError, match=names) as caught:
        VaultSettings.parse(variables)
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("message", "spelled"),
    [
        ("see VAULT_ADDR: set it", "see BAO_ADDR: set it"),
        ("/ca.pem (VAULT_CACERT) is a folder", "/ca.pem (BAO_CACERT) is a folder"),
        ("VAULT_TOKEN is set", "VAULT_TOKEN is set"),
        ('path "VAULT_ADDR/data/VAULT_ADDR" {}', 'path "VAULT_ADDR/data/VAULT_ADDR" {}'),
        ("may not read kv/data/VAULT_ADDR: add", "may not read kv/data/VAULT_ADDR: add"),
        ("/etc/VAULT_ADDR.pem is a folder", "/etc/VAULT_ADDR.pem is a folder"),
    ],
)
def test_a_message_names_a_variable_as_it_was_set_and_leaves_paths_alone(
    message: str, spelled: str
) -> None:
    assert VariableNames(frozenset({"ADDR", "CACERT"})).spell(message) == spelled


def test_no_credential_shows_in_a_repr() -> None:
    for variables in (
        {"VAULT_TOKEN": "s3cret"},
        {"VAULT_ROLE_ID": "s3cret", "VAULT_SECRET_ID": "s3cret"},
    ):
        assert "s3cret" not in repr(VaultSettings.parse(variables))

"""URLs of this store: what they may look like, and that each secret has one."""

import pytest

from rotator.errors import ConfigError
from tests.vault.helpers import address


@pytest.mark.parametrize(
    ("url", "mount", "path", "field"),
    [
        ("vault://secret/luna", "secret", "luna", "NOCTURNA_SERVICE_TOKEN"),
        ("VAULT://secret/bots/luna#TOKEN", "secret", "bots/luna", "TOKEN"),
        ("vault://team/kv/bots/luna?mount=team/kv#A", "team/kv", "bots/luna", "A"),
        ("vault://team/kv/bots?mount=/team/kv/", "team/kv", "bots", "NOCTURNA_SERVICE_TOKEN"),
        ("vault://secret/a%20b%3F%23#my%20key", "secret", "a b?#", "my key"),
    ],
)
def test_a_url_has_a_mount_a_path_and_a_field(url: str, mount: str, path: str, field: str) -> None:
    parsed = address(url)
    assert (parsed.mount, parsed.path, parsed.field) == (mount, path, field)
    assert address(parsed.canonical) == parsed


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("vault://secret/luna", "Vault://secret/luna#NOCTURNA_SERVICE_TOKEN"),
        ("vault://secret/luna", "vault://secret/luna?mount=secret"),
        ("vault://secret/luna", "vault://secret/%6Cuna"),
        ("vault://a/b/c?mount=a/b", "vault://a/b/c?mount=a%2Fb/"),
    ],
)
def test_the_same_secret_has_one_url(one: str, other: str) -> None:
    assert address(one).canonical == address(other).canonical


@pytest.mark.parametrize("part", ["data", "metadata"])
def test_a_path_of_the_api_is_refused_with_the_url_that_is_meant(part: str) -> None:
    with pytest.raises(ConfigError, match=f"leave {part}/ out") as caught:
        address(f"vault://secret/{part}/bots/luna#A")
    meant, literal = (each.rstrip(",") for each in str(caught.value).split() if "://" in each)
    assert meant == "vault://secret/bots/luna#A"
    assert literal == f"vault://secret/{part}/bots/luna?mount=secret#A"
    parsed = address(literal)
    assert (parsed.mount, parsed.path) == ("secret", f"{part}/bots/luna")
    assert parsed.canonical == literal


def test_a_secret_may_be_called_data() -> None:
    assert address("vault://secret/data").path == "data"
    assert address("vault://secret/database/luna").path == "database/luna"


@pytest.mark.parametrize(
    "url",
    [
        "vault:secret/luna",
        "vault://secret",
        "vault://secret/",
        "vault:///luna",
        "vault://secret//luna",
        "vault://secret/luna/",
        "vault://secret/../sys/seal",
        "vault://secret/%2e%2e/luna",
        "vault://secret/a%0Ab",
        "vault://secret/luna#a%0Ab",
        "vault://team/kv?mount=team/kv",
        "vault://secret/luna?mount=other",
    ],
)
def test_a_url_that_is_no_address_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(ConfigError, match="vault://"):
        address(url)


def test_an_unknown_option_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"'version', only \?mount="):
        address("vault://secret/luna?version=2")

"""Store URLs: what they mean, and which are refused before anything is looked at."""

import os
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from backends.dotenv.store import DotenvStore, open_store
from rotator.errors import ConfigError, StoreUnreachableError
from rotator.stores.port import Entry, SecretStore, StoreUrl, parse_url, path_of_file_store


def opened(
    location: str, folder: Path, *, field: str | None = "V", query: dict[str, str] | None = None
) -> DotenvStore:
    return open_store(StoreUrl("not shown", "dotenv", location, query or {}, field, folder))


@pytest.mark.parametrize("location", [".env", "./x/../.env", "{}/.env", "//{}/.env", "link/.env"])
def test_every_spelling_of_a_file_has_one_canonical_url(location: str, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "link").symlink_to(tmp_path)
    store = opened(location.format(tmp_path), tmp_path)
    assert store.url == f"dotenv://{os.path.realpath(tmp_path)}/.env#V"


def test_a_link_and_its_target_have_the_same_url(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(".env")
    assert opened("link", tmp_path).url == opened(".env", tmp_path).url


def test_the_variable_is_the_service_token_unless_named(tmp_path: Path) -> None:
    assert opened(".env", tmp_path, field=None).url.endswith("#NOCTURNA_SERVICE_TOKEN")


def test_odd_characters_of_a_path_are_escaped_in_the_url(tmp_path: Path) -> None:
    url = opened("a b#c?d%\n\udcff/.env", tmp_path).url
    assert url.endswith("/a%20b%23c%3Fd%25%0A%FF/.env#V")


def test_a_name_of_any_bytes_is_that_of_the_same_file(tmp_path: Path) -> None:
    url = parse_url("dotenv:caf%E9.env#V", tmp_path)
    store = open_store(url)
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.env"))
    path.write_text("V=a\n")
    assert isinstance(found := store.read(), Entry)
    assert found.secret == "a"
    assert path_of_file_store(store.url) == path


def test_a_name_that_leaves_no_room_for_a_lock_is_told(tmp_path: Path) -> None:
    store = opened("x" * 250, tmp_path)
    (tmp_path / ("x" * 250)).write_text("V=a\n")
    assert isinstance(store.read(), Entry)
    with pytest.raises(StoreUnreachableError, match="x is too long for the names of its lock"):
        store.preflight()


def test_the_scheme_leads_here(tmp_path: Path) -> None:
    (door,) = entry_points(group="rotator.backends", name="dotenv")
    assert door.load() is open_store
    store: SecretStore = opened(".env", tmp_path)
    assert store.url


def test_the_repr_shows_the_url_only(tmp_path: Path) -> None:
    store = opened(".env", tmp_path)
    assert repr(store) == f"DotenvStore({store.url!r})"


@pytest.mark.parametrize("location", ["", "//", "///", "sub/", "a\0b"])
def test_a_path_that_names_no_file_is_refused(location: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs the path of a file"):
        opened(location, tmp_path)


@pytest.mark.parametrize("location", ["~/.env", "$HOME/.env", '".env"', "'.env'"])
def test_what_a_shell_would_expand_is_refused(location: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="are not expanded here"):
        opened(location, tmp_path)


def test_a_host_is_refused_without_repeating_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no host") as caught:
        opened("//user:hunter2@host/.env", tmp_path)
    assert "hunter2" not in str(caught.value)


def test_an_option_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'mode'"):
        opened(".env", tmp_path, query={"mode": "hunter2"})


@pytest.mark.parametrize("field", ["", "1A", "A-B", "A B", "A=", "É", "A\n"])
def test_a_name_that_no_shell_takes_is_refused(field: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="name of a variable"):
        opened(".env", tmp_path, field=field)


def test_a_token_pasted_as_a_name_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        opened(".env", tmp_path, field="eyJhbGciOiJIUzI1NiJ9.e30.abc-def")
    assert "eyJ" not in str(caught.value)

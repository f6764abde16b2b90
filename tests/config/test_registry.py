import re
from collections.abc import Callable
from pathlib import Path

import pytest

from rotator.errors import ConfigError, StoreUnreachableError
from rotator.stores.journal import Journal
from rotator.stores.port import SecretStore, StoreUrl, parse_url
from rotator.stores.readonly import UnavailableStore
from rotator.stores.registry import Backends
from tests.unit.jwts import lasting

HERE = Path("/srv/bot")


@pytest.mark.parametrize(
    ("text", "scheme", "location", "query", "field"),
    [
        ("dotenv:.env", "dotenv", ".env", {}, None),
        ("dotenv:.env#", "dotenv", ".env", {}, None),
        ("dotenv:.env#TOKEN", "dotenv", ".env", {}, "TOKEN"),
        ("dotenv:///srv/bot/.env#T", "dotenv", "///srv/bot/.env", {}, "T"),
        ("DotEnv:a%20b%23c%3F.env", "dotenv", "a b#c?.env", {}, None),
        ("dotenv:caf%C3%A9/%E9.env", "dotenv", "café/\udce9.env", {}, None),
        ("dotenv:a@b/.env", "dotenv", "a@b/.env", {}, None),
        ("vault://secret/bots/luna#F", "vault", "//secret/bots/luna", {}, "F"),
        (
            "aws-secretsmanager://bots/luna?region=eu-west-1&a=&b=x%26y#k%23",
            "aws-secretsmanager",
            "//bots/luna",
            {"region": "eu-west-1", "a": "", "b": "x&y"},
            "k#",
        ),
        ("x+y.z-1:a?b#c?d#e", "x+y.z-1", "a", {"b": ""}, "c?d#e"),
    ],
)
def test_a_store_url_is_taken_apart(
    text: str, scheme: str, location: str, query: dict[str, str], field: str | None
) -> None:
    assert parse_url(text, HERE) == StoreUrl(text, scheme, location, query, field, HERE)


@pytest.mark.parametrize("text", ["", ".env", "dotenv:", ":x", "1a:x", "dotenv:a b", "dotenv:a\0b"])
def test_what_is_no_store_url_is_shown_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match=r'found ".*", expected a store URL such as dotenv:\.env'):
        parse_url(text, HERE)


def test_a_token_in_the_place_of_its_store_is_not_shown() -> None:
    with pytest.raises(ConfigError, match="found a store URL with a token in it") as caught:
        parse_url(f"dotenv:{(jwt := lasting(None))}", HERE)
    assert jwt not in str(caught.value)
    assert parse_url("dotenv:/home/heyJude/.env", HERE).location == "/home/heyJude/.env"


@pytest.mark.parametrize("text", ["vault://secret/%E9#F", "dotenv:.env#%E9"])
def test_a_url_that_is_no_utf_8_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="expected UTF-8 behind the % signs"):
        parse_url(text, HERE)


def test_a_space_in_a_store_url_is_explained() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_url("dotenv:my bot.env", HERE)
    assert str(caught.value) == (
        'found "dotenv:my bot.env", expected a store URL such as dotenv:.env, in which a space is'
        " written %20"
    )


@pytest.mark.parametrize(
    "text",
    [
        "vault://admin:hunter2@vault.example/bots",
        "vault://hunter2@vault.example",
        "vault://admin:hunter2@vault.example/a b",
        "vault: //admin:hunter2@vault.example",
        "//admin:hunter2@vault.example/bots",
    ],
)
def test_credentials_in_a_store_url_are_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Backends().open(text, HERE)
    assert "hunter2" not in str(caught.value)
    assert "expected" in str(caught.value)


def test_an_unknown_scheme_is_answered_with_the_known_ones() -> None:
    with pytest.raises(
        ConfigError,
        match=r"no installed package serves floppy: stores; installed are: .*\bdotenv\b",
    ):
        Backends().open("floppy:a", HERE)


def test_a_store_of_the_built_in_backend_comes_in_by_its_scheme(tmp_path: Path) -> None:
    store = Backends().open("dotenv:a%20b/.env#T", tmp_path)
    assert store.url == f"dotenv://{tmp_path}/a%20b/.env#T"


BACKEND = """
class Shelf:
    def __init__(self, url):
        self.url = f"shelf of {url.location} in {url.query} as {url.field}"
"""


def install(place: Path, package: str, scheme: str) -> None:
    """Put a package with a backend where Python finds it."""
    info = place / f"{package}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[rotator.backends]\n{scheme} = {package}_backend:Shelf\n"
    )
    (place / f"{package}_backend.py").write_text(BACKEND)


def test_a_package_of_somebody_else_brings_a_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "shelf", "shelf")
    monkeypatch.syspath_prepend(tmp_path)
    assert Backends().open("shelf:a?b=c#d", tmp_path).url == "shelf of a in {'b': 'c'} as d"


def test_a_package_that_cannot_be_loaded_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "broken", "broken")
    (tmp_path / "broken_backend.py").write_text("import no_such_sdk\n")
    monkeypatch.syspath_prepend(tmp_path)
    store = Backends().open("broken:a", tmp_path)
    text = (
        "broken:a: the package broken, which serves broken: stores, cannot be loaded"
        " (ModuleNotFoundError: no_such_sdk): update, repair or uninstall it"
    )
    with pytest.raises(StoreUnreachableError, match=re.escape(text)):
        store.read()


@pytest.mark.parametrize(
    ("missing", "advice"),
    [
        ("no_such_sdk", "pip install 'sunk[sdk-2,more]'"),
        ("no_such_sdk.client", "pip install 'sunk[sdk-2,more]'"),
        ("sunk_backend.no_such_part", "(ModuleNotFoundError: sunk_backend.no_such_part): update"),
        ("rotator.no_such_part", "(ModuleNotFoundError: rotator.no_such_part): update"),
    ],
)
def test_an_extra_is_only_named_where_it_would_help(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str, advice: str
) -> None:
    install(tmp_path, "sunk", "sunk")
    entry_points = tmp_path / "sunk-1.0.dist-info/entry_points.txt"
    entry_points.write_text(f"{entry_points.read_text().rstrip()} [sdk-2,more]\n")
    (tmp_path / "sunk_backend.py").write_text(f"import {missing}\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(StoreUnreachableError) as caught:
        Backends().open("sunk:a", tmp_path).read()
    assert str(caught.value).startswith("sunk:a: ")
    assert advice in str(caught.value)


@pytest.mark.parametrize(
    "use",
    [
        lambda store: store.read(),
        lambda store: store.preflight(),
        lambda store: store.write("secret", Journal(), expected=""),
        lambda store: store.note(Journal(), expected=""),
        lambda store: store.hold(),
        lambda store: store.held_elsewhere(),
    ],
    ids=["read", "preflight", "write", "note", "hold", "held_elsewhere"],
)
def test_a_store_that_is_broken_never_answers(use: Callable[[SecretStore], object]) -> None:
    store: SecretStore = UnavailableStore("broken:a", "it is broken")
    assert store.url == "broken:a"
    with pytest.raises(StoreUnreachableError, match=r"^it is broken$"):
        use(store)


@pytest.mark.parametrize(
    ("error", "kind"), [("StoreDeniedError", StoreUnreachableError), ("ConfigError", ConfigError)]
)
def test_what_a_backend_itself_says_of_a_store_is_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: str, kind: type[Exception]
) -> None:
    install(tmp_path, error, error.lower())
    (tmp_path / f"{error}_backend.py").write_text(
        f"import rotator.errors\n\n\ndef Shelf(url):\n    raise rotator.errors.{error}('no key')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(kind, match=r"^no key$"):
        Backends().open(f"{error.lower()}:a", tmp_path).read()


def test_two_packages_with_one_scheme_are_a_mistake_that_names_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "one", "twice")
    install(tmp_path, "two", "twice")
    monkeypatch.syspath_prepend(tmp_path)
    text = "several packages serve twice: stores (one, two); uninstall all but one"
    with pytest.raises(ConfigError, match=re.escape(text)):
        Backends().open("twice:a", tmp_path)

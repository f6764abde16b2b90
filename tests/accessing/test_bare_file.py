"""A mounted Secret: a file with the bare token, which bots read and the rotator never writes."""

from pathlib import Path

import pytest

from rotator.cli.exec.store_poller import path_of
from rotator.config.settings import ApiSettings, Settings, TokenSettings
from rotator.errors import ConfigError, StoreDeniedError, StoreError
from rotator.stores.journal import Journal
from rotator.stores.readonly import BareFile
from rotator.stores.registry import Backends
from rotator.tokens import ServiceToken
from rotator.wiring import open_selected
from tests.accessing.support import prepare, printed
from tests.support.process import Runner
from tests.support.sandbox import Sandbox
from tests.unit.jwts import service_jwt


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_the_token_is_what_stands_in_the_file(tmp_path: Path, end: str) -> None:
    (tmp_path / "token").write_bytes(service_jwt().encode() + end.encode())
    store = BareFile.open("file:token", tmp_path)
    assert store.url == f"file://{tmp_path}/token"
    assert ServiceToken.parse(store.read().secret).token_id == "t1"
    assert store.read() == store.read()


@pytest.mark.parametrize("text", ["file:/a/b%20c", "file:///a/b%20c", "FILE:/a/b%20c#NAME"])
def test_every_way_to_write_a_path_is_the_same_file(tmp_path: Path, text: str) -> None:
    store = BareFile.open(text, tmp_path)
    assert store.url == "file:///a/b%20c"
    assert path_of(store, text, tmp_path) == Path("/a/b c")


@pytest.mark.parametrize("text", ["file:/", "file://host/token", "file:/token?x=1", "file:///a%00"])
def test_what_names_no_file_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="expected one such as file:/run/secrets/token"):
        BareFile.open(text, tmp_path)


def test_a_file_that_cannot_be_read_is_told_with_its_path(tmp_path: Path) -> None:
    for path, why in ((tmp_path / "none", "there is no such file"), (tmp_path, "Is a directory")):
        with pytest.raises(StoreError, match=why) as caught:
            BareFile(path).read()
        assert str(caught.value).startswith(f"file://{path}: ")


def test_it_is_never_written(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("x")
    store = BareFile(tmp_path / "token")
    for change in (
        store.preflight,
        store.hold,
        lambda: store.write("y", Journal(), expected=""),
        lambda: store.note(Journal(), expected=""),
    ):
        with pytest.raises(StoreDeniedError, match="is only read"):
            change()
    assert (tmp_path / "token").read_text() == "x"


def test_it_may_stand_beside_other_stores_and_keeps_its_place(tmp_path: Path) -> None:
    texts = ("dotenv:a.env", "file:token", "dotenv:b.env")
    token = TokenSettings("luna", "here", texts)
    settings = Settings((ApiSettings(),), (token,), tmp_path)
    ((found, stores),) = open_selected(settings, [], with_bare_files=True)
    assert found is token
    assert [store.url.partition(":")[0] for store in stores] == ["dotenv", "file", "dotenv"]
    wrong = Settings((ApiSettings(),), (token._replace(stores=("file:",)),), tmp_path)
    with pytest.raises(ConfigError, match=r"^here: found "):
        open_selected(wrong, [], with_bare_files=True)


@pytest.mark.parametrize(
    ("text", "instead"),
    [("file:/run/secrets/token", "kubernetes://NAMESPACE/NAME#KEY"), ("env:TOKEN", "any other")],
)
def test_who_rotates_refuses_what_is_only_read(tmp_path: Path, text: str, instead: str) -> None:
    with pytest.raises(ConfigError, match=f"{text.partition(':')[0]}:` is only read") as caught:
        Backends().open(text, tmp_path)
    assert instead in str(caught.value)


def test_access_token_takes_it(rotator: Runner, api: Sandbox) -> None:
    prepare(rotator)
    (rotator.folder / "token").write_text(f"{api.issue()}\n")
    assert printed(rotator, ROTATOR_STORE="file:token").startswith("eyJ")
    refused = rotator("check", ROTATOR_STORE="file:token")
    assert refused.status == 3
    assert refused.err.startswith("rotator: environment: ROTATOR_STORE: `file:` is only read")

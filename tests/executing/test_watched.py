"""Several stores of one token, of which some go silent."""

import logging
from datetime import timedelta
from pathlib import Path

import pytest

from rotator.cli.exec.store_poller import WatchedToken
from rotator.errors import StoreError, StoreUnreachableError
from rotator.stores.journal import Journal
from rotator.stores.port import SecretStore
from rotator.stores.registry import Backends
from tests.support.clock import NOON
from tests.support.stores import Failing, MeddledStore
from tests.unit.jwts import lasting

DOWN = Failing(StoreUnreachableError("shelf://a: it does not answer"))
DAY = timedelta(days=1)


@pytest.fixture
def stores(tmp_path: Path) -> list[SecretStore]:
    return [Backends().open(f"dotenv:{name}.env", tmp_path) for name in "ab"]


def write(store: SecretStore, secret: str, journal: Journal | None = None) -> None:
    store.write(secret, journal or Journal(), expected=store.read().version)


def test_a_silent_store_does_not_bring_an_older_token_back(
    stores: list[SecretStore], caplog: pytest.LogCaptureFixture
) -> None:
    new, old = lasting(90 * DAY, "new"), lasting(3 * DAY, "old")
    write(stores[0], new, Journal(token_id="new", previous_token_id="old"))
    write(stores[1], old)
    down = False

    def obstacle() -> None:
        if down:
            DOWN()

    watched = WatchedToken("luna", [MeddledStore(stores[0], before_read=obstacle), stores[1]])
    assert watched.read(NOON).secret == new
    down = True
    assert watched.read(NOON).secret == watched.read(NOON).secret == new
    (record,) = caplog.records
    assert record.getMessage().startswith("luna: shelf://a: it does not answer; the program goes")
    write(stores[1], newest := lasting(91 * DAY, "n"), Journal("n", previous_token_id="new"))
    assert watched.read(NOON).secret == newest
    down = False
    assert watched.read(NOON).secret == newest
    assert caplog.messages[1:] == ["luna: its stores are in order again"]


def test_a_token_that_expires_is_told_and_kept(
    stores: list[SecretStore], caplog: pytest.LogCaptureFixture
) -> None:
    write(stores[0], secret := lasting(DAY))
    watched = WatchedToken("luna", stores[:1])
    assert watched.read(NOON).secret == secret
    assert watched.read(NOON + 2 * DAY).secret == secret
    assert watched.read(NOON + 3 * DAY).secret == secret
    (record,) = caplog.records
    assert (
        "expired 1 day ago (2026-11-24 12:00 UTC); rotator rotate makes a new one"
        in record.getMessage()
    )
    assert record.levelno == logging.WARNING


def test_every_store_says_why_there_is_no_token(stores: list[SecretStore], tmp_path: Path) -> None:
    (tmp_path / "a.env").touch(0o600)
    write(stores[1], "changeme")
    with pytest.raises(StoreError) as caught:
        WatchedToken("luna", stores).read(NOON)
    told = str(caught.value)
    assert told.startswith("luna: dotenv:///")
    assert "a.env#NOCTURNA_SERVICE_TOKEN: there is no token; rotator rotate makes" in told
    assert "b.env#NOCTURNA_SERVICE_TOKEN: the value is not a JWT" in told
    assert "changeme" not in told


def test_a_file_that_is_not_there_yet_is_told_as_such(stores: list[SecretStore]) -> None:
    with pytest.raises(StoreError, match="there is no such file yet; rotator rotate makes"):
        WatchedToken("luna", stores).read(NOON)

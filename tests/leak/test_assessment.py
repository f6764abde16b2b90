"""What leaked, and whether what the stores show has replaced it already."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from backends.dotenv.store import open_store
from rotator.cli.leaked.assessment import BEGINNING, Assessment, Order, assess
from rotator.nocturna.service_tokens import ListedToken
from rotator.rotation.observe import observe
from rotator.stores.port import StoreUrl
from tests.support.clock import NOON
from tests.unit.jwts import lasting

DAY = timedelta(days=1)
MADE = NOON - 30 * DAY
USUAL = Order()


def row(token_id: str, *, made: datetime = MADE, ends: datetime = NOON + 60 * DAY) -> ListedToken:
    return ListedToken(token_id, "admin", "calculations", made, ends, None)


def look(
    folder: Path,
    *rows: ListedToken,
    order: Order = USUAL,
    now: datetime = NOON,
    **files: tuple[str, str],
) -> Assessment:
    """Assess files, each with the words of its journal and its token."""
    stores = []
    for name, (words, secret) in files.items():
        note = f"# rotator: v=1 {words}\n" if words else ""
        (folder / name).write_text(f"{note}NOCTURNA_SERVICE_TOKEN={secret}\n")
        (folder / name).chmod(0o600)
        stores.append(open_store(StoreUrl(f"dotenv:{name}", "dotenv", name, {}, None, folder)))
    snapshot = observe(stores, now)
    return assess("luna", snapshot, {each.token_id: each for each in rows}, now, order)


def ids(found: Assessment) -> list[str]:
    return [each.token_id for each in found.leaked]


def test_what_the_stores_show_leaked_and_what_lives_of_those_before(tmp_path: Path) -> None:
    words = "token=b previous=a old=a@2026-12-01T00:00:00Z old=gone@2027-01-01T00:00:00Z"
    found = look(
        tmp_path,
        *(row("b"), row("a", made=MADE - 60 * DAY), row("other")),
        env=(words, lasting(60 * DAY, "b")),
    )
    assert ids(found) == ["b", "a"]
    assert found.leak.since == MADE - 60 * DAY
    assert [each.token_id for each in found.leak.tokens] == ["b", "a"]
    assert found.answer is None
    assert found.owners == {"admin"}


def test_what_has_expired_can_harm_nobody(tmp_path: Path) -> None:
    expired = row("a", ends=NOON)
    found = look(tmp_path, row("b"), expired, env=("token=b previous=a", lasting(DAY, "b")))
    assert ids(found) == ["b"]


def test_a_token_without_an_id_is_named_by_its_digest_and_not_noted(tmp_path: Path) -> None:
    found = look(tmp_path, env=("", lasting(DAY, "no id")))
    assert found.leaked[0].token_id.startswith("sha256:")
    assert found.leak.tokens == ()


LEAK = "leak=2026-10-24T12:00:00Z leaked=a@2027-01-22T12:00:00Z"
ANSWER = f"token=b previous=a minted=2026-11-23T12:00:00Z {LEAK}"


@pytest.mark.parametrize(
    ("words", "passed", "answered"),
    [
        (ANSWER, timedelta(), True),
        (ANSWER, timedelta(minutes=59), True),
        (ANSWER, timedelta(hours=1), False),
        (f"{ANSWER} owed=a@2026-11-23T12:00:00Z", 30 * DAY, True),
        (f"{ANSWER} owed=z@2026-11-23T12:00:00Z", DAY, False),
        (ANSWER.replace("11-23T", "11-24T"), timedelta(), False),  # of a clock that was wrong
        (ANSWER.replace("token=b", "token=c"), timedelta(), False),
        (ANSWER.replace("leak=", "lead="), timedelta(), False),
    ],
)
def test_a_token_that_was_minted_for_the_leak_is_its_answer(
    tmp_path: Path, words: str, passed: timedelta, *, answered: bool
) -> None:
    found = look(tmp_path, row("b"), now=NOON + passed, env=(words, lasting(60 * DAY, "b")))
    assert (found.answer is not None) is answered
    if answered:
        assert ids(found) == ["a"]
        assert found.leak.since == datetime.fromisoformat("2026-10-24T12:00:00Z")
        assert found.leaked[0].ends_at == datetime.fromisoformat("2027-01-22T12:00:00Z")
        assert found.answered_at == NOON
    else:
        assert "b" in ids(found)


def test_an_answer_that_leaked_too_is_replaced_again(tmp_path: Path) -> None:
    found = look(
        tmp_path,
        row("b", made=NOON),
        order=Order(is_again=True),
        env=(ANSWER, lasting(60 * DAY, "b")),
    )
    assert (ids(found), found.answer) == (["b"], None)
    assert found.leak.since == datetime.fromisoformat("2026-10-24T12:00:00Z")


def test_a_store_that_still_shows_a_leaked_token_is_named(tmp_path: Path) -> None:
    old = lasting(60 * DAY, "a")
    found = look(tmp_path, row("a"), first=(ANSWER, lasting(60 * DAY, "b")), second=("", old))
    assert ids(found) == ["a"]
    assert [store.rpartition("/")[2] for store in found.leaked[0].stores] == [
        "second#NOCTURNA_SERVICE_TOKEN"
    ]


@pytest.mark.parametrize(
    ("rows", "life", "order", "since"),
    [
        ([row("b")], 60 * DAY, USUAL, MADE),
        ([], 60 * DAY, USUAL, NOON - 305 * DAY),  # no token lives longer than a year
        ([], None, USUAL, BEGINNING),
        ([row("b")], 60 * DAY, Order(since=NOON - DAY), NOON - DAY),
        ([], timedelta(days=-20000), USUAL, BEGINNING),
    ],
)
def test_since_when_others_can_have_been_made(
    tmp_path: Path, rows: list[ListedToken], life: timedelta | None, order: Order, since: datetime
) -> None:
    assert look(tmp_path, *rows, order=order, env=("", lasting(life, "b"))).leak.since == since


@pytest.mark.parametrize(("named", "since"), [(True, BEGINNING), (False, NOON)])
def test_nothing_is_known_of_an_empty_store(
    tmp_path: Path, since: datetime, *, named: bool
) -> None:
    found = look(tmp_path, order=Order(is_named=named), env=("", ""))
    assert (found.leaked, found.leak.since) == ((), since)

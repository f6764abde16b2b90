from contextlib import nullcontext
from datetime import timedelta
from itertools import combinations, permutations
from pathlib import Path

import pytest

from rotator.errors import StoreDeniedError, StoreError, StoreUnreachableError
from rotator.rotation.observe import Snapshot, Unreachable, observe, snapshot_of
from rotator.stores.journal import Journal
from rotator.stores.port import Absent, SecretStore
from rotator.stores.registry import Backends
from tests.support.clock import NOON
from tests.unit.jwts import lasting, service_jwt

WEEK = timedelta(days=7)


class MuteStore:
    """A store that only ever fails."""

    def __init__(self, error: StoreError) -> None:
        self.url = "mute://store"
        self.error = error

    def read(self) -> Absent:
        raise self.error

    def preflight(self) -> None:
        raise self.error

    def write(self, secret: str, journal: Journal, *, expected: str) -> None:
        del secret, journal, expected
        raise self.error

    def note(self, journal: Journal, *, expected: str) -> str:
        del journal, expected
        raise self.error

    def hold(self) -> nullcontext[None]:
        return nullcontext()

    def held_elsewhere(self) -> bool | None:
        raise self.error


class Shelf:
    """A folder with `.env` files that are made, and looked at, in the order of the alphabet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stores: list[SecretStore] = []

    def add(self, secret: str | None, journal: str = "") -> None:
        name = f"{len(self.stores)}.env"
        comment = f"# rotator: {journal}\n" if journal else ""
        line = "" if secret is None else f"NOCTURNA_SERVICE_TOKEN={secret}\n"
        path = self.folder / name
        path.write_text(f"A=1\n{comment}{line}")
        path.chmod(0o600)
        self.stores.append(Backends().open(f"dotenv:{name}", self.folder))

    def look(self) -> Snapshot:
        return observe(self.stores, NOON)

    def names(self, seen: Snapshot) -> tuple[list[int], list[int]]:
        """Return the places of the stores that answered, and of those that are behind."""
        at = [store.url for store in self.stores]
        return (
            [at.index(reading.store.url) for reading in seen.reachable],
            [at.index(reading.store.url) for reading in seen.lacking],
        )


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def current(seen: Snapshot) -> str | None:
    return seen.current.token_id if seen.current else None


def test_one_store_with_a_token_has_nothing_behind(shelf: Shelf) -> None:
    shelf.add(lasting(WEEK))
    seen = shelf.look()
    assert current(seen) == "t1"
    assert shelf.names(seen) == ([0], [])
    assert seen.fault is None


@pytest.mark.parametrize(
    ("lives", "newest"),
    [
        ((WEEK, 2 * WEEK), "t1"),
        ((2 * WEEK, WEEK, -WEEK), "t0"),
        ((-WEEK, -2 * WEEK), "t0"),
        ((-WEEK, timedelta(seconds=1)), "t1"),
        ((52 * WEEK, None), "t1"),
        ((None, 52 * WEEK), "t0"),
    ],
    ids=["two live", "three", "two over", "one over", "eternal last", "eternal first"],
)
def test_without_a_journal_the_live_token_that_lasts_longest_is_current(
    shelf: Shelf, lives: tuple[timedelta | None, ...], newest: str
) -> None:
    for number, life in enumerate(lives):
        shelf.add(lasting(life, f"t{number}"))
    seen = shelf.look()
    assert current(seen) == newest
    assert len(seen.lacking) == len(lives) - 1


@pytest.mark.parametrize("old_life", [52 * WEEK, None], ids=["lasts longer", "eternal"])
def test_the_token_that_a_journal_calls_replaced_is_older_whatever_its_expiry(
    shelf: Shelf, old_life: timedelta | None
) -> None:
    shelf.add(lasting(old_life, "old"), "v=1 token=old")
    shelf.add(lasting(WEEK, "new"), "v=1 token=new previous=old minted=2026-11-23T11:00:00Z")
    seen = shelf.look()
    assert current(seen) == "new"
    assert shelf.names(seen) == ([0, 1], [0])
    assert seen.journal.previous_token_id == "old"
    assert seen.journal.minted_at == NOON - timedelta(hours=1)


def test_a_replaced_token_that_lives_is_better_than_a_new_one_that_does_not(shelf: Shelf) -> None:
    shelf.add(lasting(WEEK, "old"))
    shelf.add(lasting(-WEEK, "new"), "v=1 token=new previous=old")
    assert current(shelf.look()) == "old"


def test_tokens_without_an_id_are_compared_by_their_end(shelf: Shelf) -> None:
    shelf.add(service_jwt(token_id=None, exp=int((NOON + WEEK).timestamp())))
    shelf.add(lasting(2 * WEEK, "later"))
    assert current(shelf.look()) == "later"


def test_the_same_token_in_all_stores_leaves_none_behind(shelf: Shelf) -> None:
    for _ in range(3):
        shelf.add(lasting(WEEK))
    assert shelf.names(shelf.look()) == ([0, 1, 2], [])


def test_an_empty_store_and_a_wrapped_token_are_behind(shelf: Shelf) -> None:
    shelf.add(None)
    shelf.add("'spaced '")
    shelf.add(lasting(WEEK))
    seen = shelf.look()
    assert current(seen) == "t1"
    assert shelf.names(seen) == ([0, 1, 2], [0, 1])
    assert seen.fault
    assert seen.fault.reason == "spaces"


def test_stores_without_a_token_have_no_current_one_and_no_journal(shelf: Shelf) -> None:
    shelf.add(None)
    shelf.add(None)
    seen = shelf.look()
    assert (current(seen), seen.fault, seen.journal) == (None, None, Journal())


def test_a_journal_about_another_token_does_not_count(shelf: Shelf) -> None:
    shelf.add(lasting(WEEK, "by-hand"), "v=1 token=replaced-by-hand previous=old")
    assert shelf.look().journal == Journal()
    shelf.add(lasting(WEEK, "by-hand"), "v=1 token=by-hand previous=older")
    assert shelf.look().journal == Journal("by-hand", "older")


def test_the_journal_of_a_store_behind_does_not_count(shelf: Shelf) -> None:
    shelf.add(lasting(WEEK, "old"), "v=1 token=old previous=older")
    shelf.add(lasting(2 * WEEK, "new"))
    assert shelf.look().journal == Journal()


@pytest.mark.parametrize("kind", [StoreUnreachableError, StoreDeniedError])
def test_a_store_that_fails_is_told_apart_and_the_others_go_on(
    shelf: Shelf, kind: type[StoreError]
) -> None:
    error = kind("mute://store: no answer")
    shelf.stores.append(MuteStore(error))
    shelf.add(lasting(WEEK))
    seen = shelf.look()
    assert isinstance(seen.answers[0], Unreachable)
    assert seen.answers[0].error is error
    assert current(seen) == "t1"
    assert shelf.names(seen) == ([1], [])


def test_when_no_store_answers_nothing_is_known() -> None:
    seen = observe([MuteStore(StoreUnreachableError("mute"))], NOON)
    assert (seen.reachable, seen.lacking, seen.current) == ((), (), None)


def test_the_order_of_the_stores_decides_nothing(shelf: Shelf) -> None:
    # Two recorded tokens compare by their mint, the third by its expiry: a circle in pairs.
    shelf.add(lasting(2 * WEEK, "young"), "v=1 token=young minted=2026-11-23T11:00:00Z")
    shelf.add(lasting(6 * WEEK, "aged"), "v=1 token=aged minted=2026-11-20T11:00:00Z")
    shelf.add(lasting(4 * WEEK, "manual"))
    shelf.add(lasting(None, "eternal-1"))
    shelf.add(lasting(None, "eternal-2"))
    shelf.add(lasting(-WEEK, "over"), "v=1 token=over minted=2026-11-23T11:30:00Z")
    for size in (2, 3, 5):
        for chosen in combinations(shelf.look().answers, size):
            found = {current(snapshot_of(order, NOON)) for order in permutations(chosen)}
            assert len(found) == 1


def test_a_recorded_token_is_newer_than_a_recorded_one_that_lasts_longer(shelf: Shelf) -> None:
    shelf.add(lasting(3 * WEEK, "manual"))
    shelf.add(lasting(6 * WEEK, "aged"), "v=1 token=aged minted=2026-11-20T11:00:00Z")
    shelf.add(lasting(2 * WEEK, "young"), "v=1 token=young minted=2026-11-23T11:00:00Z")
    assert current(shelf.look()) == "manual"

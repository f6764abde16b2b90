"""A death before each single step of a write: what readers see, and what the next writer does."""

import itertools
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rotator.stores.journal import Journal
from rotator.stores.port import Entry
from tests.dotenv.helpers import names_in, note, put, store_at

OLD = b"A=1\n# rotator: v=1 token=one\nTOKEN='old'\nB=2"
NEW = b"A=1\n# rotator: v=1 token=two\nTOKEN='new-and-longer'\nB=2"
NOTED = b"A=1\n# rotator: v=1 token=two previous=one\nTOKEN='old'\nB=2"
STEPS: list[tuple[object, str]] = [
    (os, "pwrite"),
    (os, "fsync"),
    (os, "fchmod"),
    (os, "ftruncate"),
    (os, "close"),
]
STEPS += [(Path, "rename"), (Path, "unlink")]
MORE_THAN_THERE_ARE = 60
LONG = pytest.mark.long


def write_longer(path: Path) -> None:
    put(path, "new-and-longer", Journal(token_id="two"))


def note_two(path: Path) -> None:
    note(path, Journal(token_id="two", previous_token_id="one"))


def change_and_die(change: Callable[[Path], None], path: Path, step: int) -> bool:
    """Write in a process that ends itself before its n-th step; say whether it got that far."""
    child = os.fork()
    if child == 0:
        counter = itertools.count()
        for owner, name in STEPS:
            setattr(owner, name, mortal(getattr(owner, name), counter, step))
        try:
            change(path)
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1] != 0


def mortal(
    function: Callable[..., object], counter: "itertools.count[int]", step: int
) -> Callable[..., object]:
    def wrapper(*args: object, **options: object) -> object:
        if next(counter) == step:
            os._exit(9)
        return function(*args, **options)

    return wrapper


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("change", "new", "secret", "linked"),
    [
        pytest.param(write_longer, NEW, "new-and-longer", False, id="write"),
        pytest.param(note_two, NOTED, "old", True, id="note, linked"),
        pytest.param(write_longer, NEW, "new-and-longer", True, id="linked", marks=LONG),
        pytest.param(note_two, NOTED, "old", False, id="note", marks=LONG),
    ],
)
def test_old_or_new_at_every_step_and_clean_afterwards(
    change: Callable[[Path], None], new: bytes, secret: str, *, linked: bool, tmp_path: Path
) -> None:
    path = tmp_path / ".env"
    names = [".env"] + ["twin"] * linked
    died = []
    for step in range(MORE_THAN_THERE_ARE):
        path.unlink(missing_ok=True)
        path.write_bytes(OLD)
        if linked:
            (tmp_path / "twin").unlink(missing_ok=True)
            (tmp_path / "twin").hardlink_to(path)
        died.append(change_and_die(change, path, step))
        entry = store_at(path).read()
        assert isinstance(entry, Entry)
        seen = (entry.secret, entry.journal.token_id)
        assert seen in {("old", "one"), (secret, "two")}
        assert store_at(path).read().has_leftovers == (names_in(tmp_path) != names)
        with store_at(path).hold():
            assert path.read_bytes() == (OLD if seen[1] == "one" else new)
        assert names_in(tmp_path) == names
    assert died[0]
    assert not died[-1]

"""Many at once, and killed at any moment: old or new, never half, and no update lost."""

import random
import re
import signal
import time
from pathlib import Path

import pytest

from backends.dotenv.store import DotenvStore
from rotator.stores.journal import Journal
from rotator.stores.port import Entry
from tests.dotenv.children import start
from tests.dotenv.helpers import dotenv_value, names_in, put, store_at
from tests.support.waiting import PATIENCE

COUNT_UP = """
from rotator.errors import ConflictError
from rotator.stores.journal import Journal
store = store_at(path)
done = 0
while done < int(sys.argv[3]):
    seen = store.read()
    number = int(seen.secret.rsplit("-", 1)[1]) + 1
    secret, journal = f"{os.getpid()}-{number}", Journal(token_id=f"id{number}")
    try:
        store.write(secret, journal, expected=seen.version)
    except ConflictError:
        continue
    done += 1
"""
WRITE_ON = """
from rotator.stores.journal import Journal
store = store_at(path)
number = int(sys.argv[3])
print("ready", flush=True)
while True:
    number += 1
    with store.hold():
        store.write(f"{number}-" + "x" * 4000 + f"-{number}", Journal(token_id=f"id{number}"),
                    expected=store.read().version)
"""
WHOLE = re.compile(r"(\d+)-x{4000}-\1")


@pytest.fixture(params=["replaced", "rewritten"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / ".env"
    path.write_bytes(b"A='1\n2'\nexport TOKEN=\"0-0\" # c\n# end")
    if request.param == "rewritten":
        (tmp_path / "twin").hardlink_to(path)
    return path


@pytest.mark.sample(1)
def test_no_update_is_lost_between_processes(file: Path) -> None:
    children = [start(COUNT_UP, file, "15") for _ in range(4)]
    for child in children:
        _, err = child.communicate(timeout=PATIENCE)
        assert (err, child.returncode) == ("", 0)
    assert (dotenv_value(file) or "").endswith("-60")
    assert store_at(file).read().journal == Journal(token_id="id60")
    assert [name for name in names_in(file.parent) if "rotator" in name] == []


@pytest.mark.sample(1)
def test_a_reader_sees_old_or_new_only(file: Path) -> None:
    put(file, "0-" + "x" * 4000 + "-0", Journal(token_id="id0"))
    child = start(WRITE_ON, file, "0")
    assert child.stdout is not None
    child.stdout.readline()
    store = store_at(file)
    numbers: set[int] = set()
    while len(numbers) < 100:
        number = whole_number(store)
        assert all(number >= earlier for earlier in numbers)
        numbers.add(number)
    child.kill()
    child.communicate()


@pytest.mark.sample(1)
def test_a_writer_killed_at_any_moment_leaves_old_or_new(file: Path, *, long: bool) -> None:
    generator = random.Random(7)  # noqa: S311 - moments, not secrets
    put(file, "0-" + "x" * 4000 + "-0", Journal(token_id="id0"))
    last = 0
    for _ in range(15 if long else 5):
        child = start(WRITE_ON, file, str(last))
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(generator.uniform(0, 0.05))
        child.send_signal(signal.SIGKILL)
        _, err = child.communicate()
        assert err == ""
        number = whole_number(store_at(file))
        assert number >= last
        last = number
    with store_at(file).hold():
        pass
    assert [name for name in names_in(file.parent) if "rotator" in name] == []
    assert WHOLE.fullmatch(dotenv_value(file) or "")
    assert file.read_bytes().startswith(b"A='1\n2'\n# rotator: v=1 token=id")
    assert file.read_bytes().endswith(b'" # c\n# end')


def test_leftovers_of_other_files_are_not_ours(tmp_path: Path) -> None:
    ours = ".env.0123456789abcdef.rotator-tmp"
    others = [".env.prod.0123456789abcdef.rotator-tmp", ".env.old.rotator-tmp", "x" + ours]
    for name in [ours, *others]:
        (tmp_path / name).touch()
    put(tmp_path / ".env", "new")
    assert names_in(tmp_path) == sorted([".env", *others])


def whole_number(store: DotenvStore) -> int:
    entry = store.read()
    assert isinstance(entry, Entry)
    match = WHOLE.fullmatch(entry.secret)
    assert match, f"{entry.secret[:40]}…{entry.secret[-40:]}"
    assert entry.journal == Journal(token_id=f"id{match[1]}")
    return int(match[1])

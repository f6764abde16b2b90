"""Who asks whether a killed rotator left something is told so without the lock."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backends.dotenv.store import DotenvStore
from rotator.rotation.observe import observe_store, snapshot_of
from rotator.rotation.rotation import remove_leftovers
from tests.dotenv.children import HOLD, running
from tests.dotenv.helpers import names_in, put, store_at
from tests.support.waiting import PATIENCE

LEFT = ["0123456789abcdef.rotator-tmp", "rotator-lock", "rotator-backup", "rotator-new"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    put(file := tmp_path / ".env", "old")
    return file


def test_nothing_is_left_by_a_rotator_that_lived(file: Path) -> None:
    assert not store_at(file).read().has_leftovers


@pytest.mark.parametrize("left", LEFT)
def test_each_thing_that_is_left_is_seen_until_the_next_hold(
    file: Path, tmp_path: Path, left: str
) -> None:
    (tmp_path / f".env.{left}").touch(mode=0o600)
    assert store_at(file).read().has_leftovers
    with store_at(file).hold():
        pass
    assert not store_at(file).read().has_leftovers
    assert names_in(tmp_path) == [".env"]


@pytest.mark.parametrize("name", ["x.env.{}", ".env.prod.{}", ".env.old.{}"])
def test_what_is_left_beside_another_file_is_not_ours(
    file: Path, tmp_path: Path, name: str
) -> None:
    for left in LEFT:
        (tmp_path / name.format(left)).touch(mode=0o600)
    assert not store_at(file).read().has_leftovers


def test_what_a_stranger_put_there_is_nothing_that_is_left(file: Path, tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can give files away")
    for left in LEFT:
        (tmp_path / f".env.{left}").touch(mode=0o600)
        os.chown(tmp_path / f".env.{left}", 1234, 1234)
    assert not store_at(file).read().has_leftovers


def test_what_belongs_to_a_rotator_at_work_is_not_left(file: Path) -> None:
    with running(HOLD, file) as child:
        assert not store_at(file).read().has_leftovers
        child.kill()
        child.wait(PATIENCE)
        assert store_at(file).read().has_leftovers


def test_what_belongs_to_another_thread_at_work_is_not_left(file: Path) -> None:
    answers: list[bool] = []
    with store_at(file).hold():
        thread = threading.Thread(
            target=lambda: answers.append(store_at(file).read().has_leftovers)
        )
        thread.start()
        thread.join(PATIENCE)
    assert answers == [False]


class CountedStore(DotenvStore):
    """Counts how often it is held."""

    holds = 0

    @contextmanager
    def hold(self) -> Iterator[None]:
        self.holds += 1
        with super().hold():
            yield


def test_a_run_does_not_wait_for_whoever_removes_what_is_left(file: Path) -> None:
    file.with_name(".env.rotator-new").touch(mode=0o600)
    store = CountedStore(file, "TOKEN")
    snapshot = snapshot_of([observe_store(store)], datetime.now(UTC))
    with running(HOLD, file):
        remove_leftovers(snapshot)
    assert store.holds == 0
    file.with_name(".env.rotator-new").touch(mode=0o600)
    remove_leftovers(snapshot)
    assert (store.holds, names_in(file.parent)) == (1, [".env"])


def test_what_is_left_beside_it_makes_it_no_other_secret(file: Path) -> None:
    file.with_name(".env.rotator-new").touch(mode=0o600)
    store = store_at(file)
    before = observe_store(store)
    with store.hold():
        assert observe_store(store) == before

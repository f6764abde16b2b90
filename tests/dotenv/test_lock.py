"""The lock: one at a time, whoever they are, and nothing left of it afterwards."""

import fcntl
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from backends.locks import FileLock
from rotator.clock import TimeBudget
from rotator.errors import StoreUnreachableError
from tests.dotenv.children import NOBODY, output, start
from tests.dotenv.helpers import NO_JOURNAL, names_in, put, store_at
from tests.support.waiting import FOREVER, PATIENCE

HOLD = """
import signal
with store_at(path).hold():
    print("held", flush=True)
    signal.pause()
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / ".env"


def test_the_lock_file_is_private_and_gone_afterwards(file: Path, tmp_path: Path) -> None:
    with store_at(file).hold():
        assert names_in(tmp_path) == [".env.rotator-lock"]
        assert (tmp_path / ".env.rotator-lock").stat().st_mode & 0o777 == 0o600
    assert names_in(tmp_path) == []


def test_holding_twice_and_writing_inside_are_one_hold(file: Path, tmp_path: Path) -> None:
    store = store_at(file)
    with store.hold(), store.hold():
        store.write("new", NO_JOURNAL, expected=store.read().version)
        assert names_in(tmp_path) == [".env", ".env.rotator-lock"]
    assert names_in(tmp_path) == [".env"]


def test_an_error_inside_lets_the_lock_go(file: Path, tmp_path: Path) -> None:
    store = store_at(file)
    with pytest.raises(OSError, match="mine"), store.hold():
        raise OSError("mine")
    with store.hold():
        pass
    assert names_in(tmp_path) == []


@contextmanager
def held_elsewhere(file: Path) -> Iterator[None]:
    """Let another process hold the lock meanwhile."""
    with start(HOLD, file) as child:
        assert child.stdout
        assert child.stdout.readline() == "held\n"
        yield
        child.kill()


def test_another_process_waits_and_then_says_who_holds_it(file: Path) -> None:
    with (
        held_elsewhere(file),
        pytest.raises(StoreUnreachableError, match=r"another rotator has been holding .*-lock"),
        store_at(file, lock_timeout=0.1).hold(),
    ):
        raise AssertionError


def test_a_second_name_of_the_file_is_the_same_lock(file: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(".env")
    with (
        held_elsewhere(file),
        pytest.raises(StoreUnreachableError),
        store_at(tmp_path / "link", lock_timeout=0).hold(),
    ):
        raise AssertionError


def test_two_variables_of_one_file_are_held_together(file: Path, tmp_path: Path) -> None:
    with store_at(file).hold(), store_at(file).hold():
        put(file, "new")
        assert names_in(tmp_path) == [".env", ".env.rotator-lock"]
    assert names_in(tmp_path) == [".env"]


def test_threads_of_one_process_wait_longer_than_for_another(file: Path) -> None:
    began = threading.Event()
    done: list[int] = []

    def wait() -> None:
        began.set()
        with store_at(file, lock_timeout=0).hold():
            done.append(1)

    with store_at(file).hold():
        thread = threading.Thread(target=wait)
        thread.start()
        began.wait()
        thread.join(0.1)
        assert done == []
    thread.join()
    assert done == [1]


def test_a_time_budget_bounds_the_wait_for_another_process_and_for_a_thread(file: Path) -> None:
    def wait() -> None:
        with TimeBudget(0.1).spending(), store_at(file, lock_timeout=FOREVER).hold():
            raise AssertionError

    with held_elsewhere(file), pytest.raises(StoreUnreachableError, match="for too long"):
        wait()
    with store_at(file).hold(), ThreadPoolExecutor(1) as pool:
        error = pool.submit(wait).exception(PATIENCE)
    assert isinstance(error, StoreUnreachableError)


def test_threads_take_turns(file: Path) -> None:
    inside: list[int] = []

    def work() -> None:
        store = store_at(file)
        for _ in range(20):
            with store.hold():
                inside.append(1)
                assert len(inside) == 1
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert inside == []
    assert names_in(file.parent) == []


def test_a_killed_holder_leaves_a_file_but_no_lock(file: Path, tmp_path: Path) -> None:
    child = start(HOLD, file)
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    with pytest.raises(StoreUnreachableError):
        store_at(file, lock_timeout=0).hold().__enter__()
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert names_in(tmp_path) == [".env.rotator-lock"]
    put(file, "new")
    assert names_in(tmp_path) == [".env"]


def test_a_lock_on_a_file_that_was_removed_is_none(file: Path, tmp_path: Path) -> None:
    lock = file.with_name(".env.rotator-lock")
    with FileLock(lock).hold(0):
        lock.unlink()
        with FileLock(lock).hold(0):
            pass
    assert names_in(tmp_path) == []


def test_who_is_overtaken_while_making_the_lock_file_takes_the_one_that_is_there(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_file = os.open

    def overtaken(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_EXCL:
            path.touch()
        return open_file(path, flags, mode)

    monkeypatch.setattr(os, "open", overtaken)
    with store_at(file).hold():
        assert names_in(tmp_path) == [".env.rotator-lock"]
    assert names_in(tmp_path) == []


def test_who_takes_a_lock_file_that_is_just_being_removed_makes_another(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock = fcntl.flock
    removed: list[int] = []

    def removing(fd: int, operation: int) -> None:
        flock(fd, operation)
        if not removed:
            removed.append(1)
            (tmp_path / ".env.rotator-lock").unlink()

    monkeypatch.setattr(fcntl, "flock", removing)
    with store_at(file).hold():
        assert names_in(tmp_path) == [".env.rotator-lock"]
    assert names_in(tmp_path) == []


def test_a_symlink_in_place_of_the_lock_file_is_not_followed(file: Path, tmp_path: Path) -> None:
    (tmp_path / ".env.rotator-lock").symlink_to("elsewhere")
    with pytest.raises(StoreUnreachableError):
        store_at(file).hold().__enter__()
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_users_lock_is_waited_for(open_folder: Path) -> None:
    code = "outcome(store_at(path, lock_timeout=0.1).hold().__enter__)"
    with store_at(open_folder / ".env").hold():
        said = output(code, open_folder / ".env", user=NOBODY)
    assert said.startswith("StoreUnreachableError")
    assert "another rotator has been holding" in said
    assert output(code, open_folder / ".env", user=NOBODY) == "fine"

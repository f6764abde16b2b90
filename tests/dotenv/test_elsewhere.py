"""Who asks whether another process holds the lock is told the truth, and is in nobody's way."""

import errno
import os
import signal
import threading
from pathlib import Path

import pytest

from rotator.errors import StoreDeniedError, StoreUnreachableError
from tests.dotenv.children import (
    HOLD,
    NOBODY,
    output,
    output_in_mounts,
    running,
    why_no_mounts,
)
from tests.dotenv.helpers import names_in, put, store_at
from tests.support.waiting import PATIENCE

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
with_mounts = pytest.mark.skipif(bool(why_no_mounts()), reason=why_no_mounts() or "-")
ASK = "print(store_at(path).held_elsewhere())"
COME_AND_GO = """
print("ready", flush=True)
while True:
    with store_at(path).hold():
        put(path, "new")
"""
ASK_ON = """
print("ready", flush=True)
while True:
    store_at(path).held_elsewhere()
"""
LOCK = ".env.rotator-lock"


@pytest.fixture
def times(long: bool) -> int:  # noqa: FBT001 - a fixture
    return 3000 if long else 500


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / ".env"


def test_nobody_holds_what_is_not_there(file: Path, tmp_path: Path) -> None:
    assert store_at(file).held_elsewhere() is False
    assert names_in(tmp_path) == []


def test_another_process_is_seen_until_it_is_killed(file: Path, tmp_path: Path) -> None:
    store = store_at(file)
    with running(HOLD, file) as child:
        assert [store.held_elsewhere() for _ in range(3)] == [True] * 3
        assert names_in(tmp_path) == [LOCK]
        child.send_signal(signal.SIGKILL)
        child.wait(PATIENCE)
        assert store.held_elsewhere() is False
    assert names_in(tmp_path) == [LOCK]
    put(file, "new")
    assert names_in(tmp_path) == [".env"]


def test_asking_does_not_take_the_lock_from_its_holder(file: Path) -> None:
    with running(HOLD, file):
        assert store_at(file).held_elsewhere()
        with pytest.raises(StoreUnreachableError):
            store_at(file, lock_timeout=0.1).hold().__enter__()


def test_another_process_that_comes_after_this_one_is_seen(file: Path) -> None:
    store = store_at(file)
    with store.hold():
        pass
    with running(HOLD, file):
        assert store.held_elsewhere()


def test_a_second_name_of_the_file_is_the_same_lock(file: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(".env")
    with running(HOLD, file):
        assert store_at(tmp_path / "link").held_elsewhere()


def test_this_process_is_not_another(file: Path) -> None:
    store = store_at(file)
    answers: list[bool] = []
    with store.hold():
        assert store.held_elsewhere() is False
        thread = threading.Thread(target=lambda: answers.append(store_at(file).held_elsewhere()))
        thread.start()
        thread.join(PATIENCE)
        assert output(ASK, file) == "True"
    assert answers == [False]
    assert output(ASK, file) == "False"


def test_a_thread_of_ours_that_waits_for_another_process_hides_it_from_nobody(file: Path) -> None:
    with running(HOLD, file) as child:
        thread = threading.Thread(target=put, args=[file, "new"])
        thread.start()
        assert [store_at(file).held_elsewhere() for _ in range(50)] == [True] * 50
        child.kill()
        thread.join(PATIENCE)
    assert file.read_text() == "TOKEN=new\n"


def test_threads_of_ours_that_come_and_go_are_never_another_process(file: Path, times: int) -> None:
    done = threading.Event()

    def come_and_go() -> None:
        while not done.is_set():
            with store_at(file).hold():
                pass

    threads = [threading.Thread(target=come_and_go) for _ in range(3)]
    for thread in threads:
        thread.start()
    answers = {store_at(file).held_elsewhere() for _ in range(times)}
    done.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert answers == {False}


def test_processes_that_come_and_go_are_no_trouble_for_who_asks(file: Path, times: int) -> None:
    with running(COME_AND_GO, file), running(COME_AND_GO, file):
        answers = {store_at(file).held_elsewhere() for _ in range(times)}
        while len(answers) == 1:
            answers.add(store_at(file).held_elsewhere())
    assert answers == {False, True}


def test_who_asks_is_no_trouble_for_those_who_come_and_go(
    file: Path, tmp_path: Path, times: int
) -> None:
    with running(ASK_ON, file), running(ASK_ON, file):
        for number in range(times // 25):
            put(file, f"new-{number}")
            assert names_in(tmp_path) == [".env"]


def test_two_that_ask_do_not_see_each_other(file: Path, tmp_path: Path, times: int) -> None:
    (tmp_path / LOCK).touch()
    with running(ASK_ON, file), running(ASK_ON, file):
        assert {store_at(file).held_elsewhere() for _ in range(times)} == {False}


def test_a_lock_file_of_a_killed_holder_says_nothing(file: Path, tmp_path: Path) -> None:
    (tmp_path / LOCK).touch(0o600)
    assert store_at(file).held_elsewhere() is False
    assert names_in(tmp_path) == [LOCK]


def test_a_lock_on_a_file_that_was_removed_says_nothing(file: Path, tmp_path: Path) -> None:
    with running(HOLD, file):
        (tmp_path / LOCK).unlink()
        assert store_at(file).held_elsewhere() is False
        (tmp_path / LOCK).touch()
        assert store_at(file).held_elsewhere() is False


def test_a_lock_file_that_is_another_one_each_time_is_in_somebodys_hands(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / LOCK).touch()
    lstat = Path.lstat

    def replaced(path: Path) -> os.stat_result:
        (tmp_path / "next").touch()
        (tmp_path / "next").rename(path)
        return lstat(path)

    monkeypatch.setattr(Path, "lstat", replaced)
    assert store_at(file).held_elsewhere() is True


@pytest.mark.parametrize("exists", [True, False])
def test_a_lock_file_that_may_not_be_opened_looks_held_while_it_is_there(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, exists: bool
) -> None:
    if exists:
        (tmp_path / LOCK).touch()

    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        answer = store_at(file).held_elsewhere()
    assert answer is exists


@as_root
def test_another_users_lock_file_looks_held(open_folder: Path) -> None:
    path = open_folder / ".env"
    (open_folder / LOCK).touch(0o600)
    assert output(ASK, path, user=NOBODY) == "True"
    with store_at(path).hold():
        assert output(ASK, path, user=NOBODY) == "True"
    assert output(ASK, path, user=NOBODY) == "False"


@as_root
def test_a_folder_that_may_only_be_read_needs_no_more(open_folder: Path) -> None:
    open_folder.chmod(0o755)
    path = open_folder / ".env"
    path.write_text("TOKEN=a\n")
    assert output(ASK, path, user=NOBODY) == "False"


@as_root
def test_a_folder_that_may_not_be_entered_is_denied(open_folder: Path) -> None:
    open_folder.chmod(0o700)
    said = output("outcome(store_at(path).held_elsewhere)", open_folder / ".env", user=NOBODY)
    assert said.startswith(StoreDeniedError.__name__)
    assert "search rights (x)" in said


@with_mounts
def test_a_read_only_file_system_needs_no_more(file: Path, tmp_path: Path) -> None:
    mounts = 'd=$(dirname "$1"); mount --bind "$d" "$d"; mount -o remount,bind,ro "$d"'
    assert output_in_mounts(mounts, ASK, file) == "False"
    (tmp_path / LOCK).touch()
    assert output_in_mounts(mounts, ASK, file) == "False"
    with store_at(file).hold():
        assert output_in_mounts(mounts, ASK, file) == "True"


def test_a_missing_folder_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(StoreUnreachableError, match=r"there is no folder .*/gone: create"):
        store_at(tmp_path / "gone" / ".env").held_elsewhere()

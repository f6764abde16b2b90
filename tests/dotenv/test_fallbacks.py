"""Systems that refuse one thing or another: the next best means, or one line that says why."""

import errno
import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest

from rotator.errors import StoreDeniedError, StoreError, StoreUnreachableError
from tests.dotenv.helpers import NO_JOURNAL, names_in, put, store_at
from tests.support.waiting import PATIENCE

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux has it, or its types")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / ".env"
    path.write_text("TOKEN=old\n")
    return path


def failing(code: int, path: Path | None = None) -> Callable[..., int]:
    def fail(*_: object, **__: object) -> int:
        raise OSError(code, os.strerror(code), str(path) if path else None)

    return fail


def assert_rewritten(file: Path) -> None:
    inode = file.stat().st_ino
    store_at(file).preflight()
    put(file, "new")
    assert (file.stat().st_ino, file.read_text()) == (inode, "TOKEN=new\n")
    assert names_in(file.parent) == [".env"]


@as_root
def test_an_owner_that_cannot_be_kept(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.chown(file, 1234, 2345)
    monkeypatch.setattr(os, "fchown", failing(errno.EPERM))
    assert_rewritten(file)
    assert file.stat().st_uid == 1234


@on_linux
def test_an_attribute_that_cannot_be_kept(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.setxattr(file, "user.note", b"x")
    monkeypatch.setattr(os, "setxattr", failing(errno.EPERM))
    assert_rewritten(file)


@pytest.mark.parametrize("code", [errno.EIO, errno.EPERM, errno.EINVAL])
def test_attributes_that_cannot_be_looked_at(
    code: int, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "listxattr", failing(code), raising=False)
    assert_rewritten(file)


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL])
def test_a_mode_that_cannot_be_set(code: int, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.chmod(0o640)
    monkeypatch.setattr(os, "fchmod", failing(code))
    assert_rewritten(file)
    assert file.stat().st_mode & 0o777 == 0o640


def test_a_mode_that_need_not_be_set(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.chmod(0o600)
    inode = file.stat().st_ino
    monkeypatch.setattr(os, "fchmod", failing(errno.EPERM))
    put(file, "new")
    assert file.read_text() == "TOKEN=new\n"
    assert file.stat().st_ino != inode, "it was replaced, which no reader sees half of"


def test_a_file_rewritten_in_place_needs_no_lock_of_its_own(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.with_name("twin").hardlink_to(file)
    store, flock = store_at(file), fcntl.flock
    version = store.read().version

    def only_beside(fd: int, operation: int) -> None:
        if os.path.samestat(os.fstat(fd), file.stat()):
            failing(errno.ENOTSUP)()
        flock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", only_beside)
    store.write("new", NO_JOURNAL, expected=version)
    assert file.with_name("twin").read_text() == "TOKEN=new\n"


@pytest.mark.parametrize("linked", [False, True])
def test_a_file_that_cannot_be_closed_was_written_and_nobody_is_kept_out(
    file: Path, monkeypatch: pytest.MonkeyPatch, *, linked: bool
) -> None:
    if linked:
        file.with_name("twin").hardlink_to(file)
    close = os.close

    def complaining(fd: int) -> None:
        close(fd)
        failing(errno.EIO)()

    with monkeypatch.context() as patch:
        patch.setattr(os, "close", complaining)
        store_at(file).preflight()
        put(file, "new")
        assert store_at(file).held_elsewhere() is False
    assert file.read_text() == "TOKEN=new\n"
    done: list[int] = []
    thread = threading.Thread(target=lambda: done.append(len(put(file, "newer"))), daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert done
    assert names_in(file.parent) == [".env", "twin"][: 1 + linked]


def test_a_mount_point_that_only_the_rename_reveals(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def busy(old: Path, new: Path) -> Path:
        if new == file:
            failing(errno.EBUSY)()
        return rename(old, new)

    monkeypatch.setattr(Path, "rename", busy)
    assert_rewritten(file)


def test_a_file_system_without_attributes(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "listxattr", failing(errno.ENOTSUP), raising=False)
    put(file, "new")
    assert file.read_text() == "TOKEN=new\n"


def test_a_system_without_attributes(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    store_at(file).preflight()
    put(file, "new")
    assert file.read_text() == "TOKEN=new\n"


@pytest.mark.parametrize("call", ["fsync", "fchmod"])
def test_a_disk_that_fails_leaves_the_old_file(
    call: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, call, failing(errno.EIO), raising=False)
    with pytest.raises(StoreUnreachableError, match="Input/output error"):
        put(file, "new")
    assert file.read_text() == "TOKEN=old\n"
    assert names_in(file.parent) == [".env"]


@pytest.mark.parametrize("everywhere", [True, False])
def test_a_rename_that_fails_leaves_the_old_file(
    file: Path, monkeypatch: pytest.MonkeyPatch, *, everywhere: bool
) -> None:
    rename = Path.rename

    def broken(old: Path, new: Path) -> Path:
        if everywhere or new == file:
            failing(errno.EIO)()
        return rename(old, new)

    monkeypatch.setattr(Path, "rename", broken)
    with pytest.raises(StoreUnreachableError, match="Input/output error"):
        put(file, "new")
    assert file.read_text() == "TOKEN=old\n"
    assert names_in(file.parent) == [".env"]


@on_linux
@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("call", ["", "flock", "fsync", "fchmod", "ftruncate", "lstat", "rename"])
def test_nothing_is_left_open(
    call: str, file: Path, monkeypatch: pytest.MonkeyPatch, *, linked: bool
) -> None:
    if linked:
        file.with_name("twin").hardlink_to(file)
    store = store_at(file)
    version = store.read().version
    store.held_elsewhere()
    before = len(names_in(Path("/proc/self/fd")))
    for owner in (os, fcntl, Path):
        if hasattr(owner, call):
            monkeypatch.setattr(owner, call, failing(errno.EIO))
    for action in (
        store.read,
        store.preflight,
        store.held_elsewhere,
        lambda: store.write("new", NO_JOURNAL, expected=version),
    ):
        with suppress(StoreError):
            action()
    with suppress(StoreError), store.hold():
        store.held_elsewhere()
    assert len(names_in(Path("/proc/self/fd"))) == before


@on_linux
def test_nothing_is_left_open_beside_another_one_at_work_or_after_its_death(file: Path) -> None:
    lock = file.with_name(".env.rotator-lock")
    lock.touch()
    store = store_at(file, lock_timeout=0)
    before = len(names_in(Path("/proc/self/fd")))
    with lock.open() as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        assert store.held_elsewhere()
        with pytest.raises(StoreUnreachableError):
            store.hold().__enter__()
    file.with_name(".env.rotator-new").write_text("TOKEN=new\n")
    file.with_name(".env.rotator-backup").write_text("TOKEN=old\n")
    file.write_text("TOKEN=nld\n")
    with store.hold():
        assert file.read_text() == "TOKEN=old\n"
    assert len(names_in(Path("/proc/self/fd"))) == before


@on_linux
@as_root
def test_an_immutable_file_is_denied_before_anything_is_minted(file: Path) -> None:
    chattr = ["/usr/bin/env", "chattr"]
    ran = subprocess.run([*chattr, "+i", str(file)], capture_output=True, check=False)
    if ran.returncode:
        pytest.skip(f"no immutable files here: {ran.stderr.decode().strip()}")
    try:
        for action in (store_at(file).preflight, lambda: put(file, "new")):
            with pytest.raises(StoreDeniedError, match="immutable flag"):
                action()
    finally:
        subprocess.run([*chattr, "-i", str(file)], check=True)
    assert names_in(file.parent) == [".env"]


@on_linux
@as_root
@pytest.mark.parametrize("what", [".env", "."])
def test_an_append_only_file_or_folder_is_denied_before_anything_is_minted(
    what: str, file: Path
) -> None:
    flagged = str(file.parent / what)
    ran = subprocess.run(
        ["/usr/bin/env", "chattr", "+a", flagged], capture_output=True, check=False
    )
    if ran.returncode:
        pytest.skip(f"no append-only files here: {ran.stderr.decode().strip()}")
    try:
        for action in (store_at(file).preflight, lambda: put(file, "new")):
            with pytest.raises(StoreDeniedError, match="append-only flag") as caught:
                action()
            assert "grant" not in str(caught.value)
    finally:
        subprocess.run(["/usr/bin/env", "chattr", "-a", flagged], check=True)
    assert file.read_text() == "TOKEN=old\n"
    assert not [name for name in names_in(file.parent) if name.endswith("-tmp")]


def test_a_read_only_file_of_ones_own_can_be_replaced(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backends.dotenv.rewrite.opened_in_place", failing(errno.EACCES))
    store_at(file).preflight()


def test_a_file_system_without_locks_is_unreachable(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "flock", failing(errno.ENOTSUP))
    with pytest.raises(StoreUnreachableError, match="No locks available: two rotators need file"):
        put(file, "new")


def test_a_file_that_is_never_at_rest_is_unreachable(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = iter(range(100_000))

    def restless(_: int) -> bytes:
        return b"TOKEN=%d\n" % next(numbers)

    monkeypatch.setattr("backends.dotenv.rewrite.read_all", restless)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with pytest.raises(StoreUnreachableError, match="keeps changing while it is read"):
        store_at(file).read()


@pytest.mark.parametrize("exists", [True, False])
def test_a_lock_file_that_may_not_be_opened(
    file: Path, monkeypatch: pytest.MonkeyPatch, *, exists: bool
) -> None:
    lock = file.with_name(".env.rotator-lock")
    if exists:
        lock.touch()
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", failing(errno.EACCES, lock))
        kind = StoreUnreachableError if exists else StoreDeniedError
        with pytest.raises(kind, match="has been holding" if exists else "may not create files"):
            store_at(file, lock_timeout=0).hold().__enter__()


def test_a_change_of_which_a_network_file_system_has_not_heard_is_kept(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its client answers a mere look from memory, for some seconds; who opens a file asks anew."""
    file.write_text("A=1\nTOKEN=old\n")
    monkeypatch.setattr(Path, "lstat", cache(Path.lstat))
    change_before_the_rename(file, monkeypatch)
    put(file, "new")
    assert file.read_text() == "A=2\nTOKEN=new\n"


def test_a_change_that_a_file_system_does_not_date_is_kept(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FAT has a new date every two seconds."""
    file.write_text("A=1\nTOKEN=old\n")
    fstat, dates = os.fstat, dict.fromkeys(("st_mtime_ns", "st_ctime_ns"), 0)
    monkeypatch.setattr(os, "fstat", lambda fd: os.stat_result(tuple(fstat(fd))[:10], dates))
    change_before_the_rename(file, monkeypatch)
    put(file, "new")
    assert file.read_text() == "A=2\nTOKEN=new\n"


def change_before_the_rename(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let somebody change the file once, when the new one is complete, and as long as the old."""
    changes = iter(["A=2\nTOKEN=old\n"])
    fsync = os.fsync

    def sync(fd: int) -> None:
        fsync(fd)
        if change := next(changes, ""):
            file.write_text(change)

    monkeypatch.setattr(os, "fsync", sync)

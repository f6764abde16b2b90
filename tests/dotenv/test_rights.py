"""Missing rights, missing folders, and things that are no files: one line that helps, each."""

import errno
import os
from pathlib import Path

import pytest

from rotator.errors import StoreError, StoreUnreachableError
from tests.dotenv.children import NOBODY, output, output_in_mounts, why_no_mounts
from tests.dotenv.helpers import names_in, put, store_at

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
with_mounts = pytest.mark.skipif(bool(why_no_mounts()), reason=why_no_mounts() or "-")


@pytest.fixture
def file(open_folder: Path) -> Path:
    open_folder.chmod(0o755)
    path = open_folder / ".env"
    path.write_text("TOKEN=old\n")
    return path


@as_root
def test_a_file_that_may_not_be_read_is_denied(file: Path) -> None:
    file.chmod(0o600)
    said = output("outcome(store_at(path).read)", file, user=NOBODY)
    assert said.startswith("StoreDeniedError dotenv:///")
    assert f"user 65534 may not read {file}: grant read rights on it" in said
    assert "\n" not in said


@as_root
def test_a_folder_that_may_not_be_entered_is_denied(file: Path) -> None:
    file.parent.chmod(0o700)
    said = output("outcome(store_at(path).read)", file, user=NOBODY)
    assert said.startswith("StoreDeniedError")
    assert f"may not read {file}: grant read rights on it and search rights (x) on its" in said


@as_root
@pytest.mark.parametrize("action", ["store_at(path).preflight", "lambda: put(path, 'new')"])
def test_a_folder_that_may_not_be_written_is_denied_by_name(action: str, file: Path) -> None:
    file.chmod(0o666)
    said = output(f"outcome({action})", file, user=NOBODY)
    assert said.startswith("StoreDeniedError")
    assert f"may not create files in {file.parent}, " in said
    assert "grant write and search rights (wx) on that folder" in said
    assert file.read_text() == "TOKEN=old\n"


@as_root
def test_reading_needs_read_rights_only(file: Path) -> None:
    file.chmod(0o444)
    assert output("print(store_at(path).read().secret)", file, user=NOBODY).endswith("old")


@as_root
def test_another_users_file_is_rewritten_in_place_and_stays_theirs(file: Path) -> None:
    file.parent.chmod(0o777)
    file.chmod(0o666)
    inode = file.stat().st_ino
    code = "outcome(store_at(path).preflight); outcome(lambda: put(path, 'new'))"
    assert output(code, file, user=NOBODY) == "fine\nfine"
    status = file.stat()
    assert (status.st_ino, status.st_uid, file.read_text()) == (inode, 0, "TOKEN=new\n")
    assert names_in(file.parent) == [".env"]


@as_root
@pytest.mark.parametrize("action", ["store_at(path).preflight", "lambda: put(path, 'new')"])
def test_another_users_file_that_may_not_be_written_is_denied(action: str, file: Path) -> None:
    file.parent.chmod(0o777)
    file.chmod(0o644)
    said = output(f"outcome({action})", file, user=NOBODY)
    assert said.startswith("StoreDeniedError")
    assert f"may not change {file}: grant read and write rights (rw) on it" in said
    assert names_in(file.parent) == [".env"]


@as_root
def test_another_users_file_in_a_sticky_folder_is_rewritten_in_place(file: Path) -> None:
    file.parent.chmod(0o1777)
    os.chown(file, 1234, NOBODY)
    file.chmod(0o660)
    code = "outcome(store_at(path).preflight); outcome(lambda: put(path, 'new'))"
    assert output(code, file, user=NOBODY) == "fine\nfine"
    assert (file.stat().st_uid, file.read_text()) == (1234, "TOKEN=new\n")


@as_root
def test_a_folder_that_may_be_written_and_not_listed_is_enough(file: Path) -> None:
    file.parent.chmod(0o733)
    file.chmod(0o666)
    code = "outcome(store_at(path).preflight); outcome(lambda: put(path, 'new'))"
    assert output(code, file, user=NOBODY).splitlines()[-2:] == ["fine", "fine"]
    assert file.read_text() == "TOKEN=new\n"
    assert names_in(file.parent) == [".env"]


@with_mounts
def test_a_read_only_file_system_is_named(file: Path) -> None:
    mounts = 'd=$(dirname "$1"); mount --bind "$d" "$d"; mount -o remount,bind,ro "$d"'
    code = "outcome(store_at(path).preflight); outcome(lambda: put(path, 'new'))"
    for said in output_in_mounts(mounts, code, file).splitlines():
        assert said.startswith("StoreDeniedError")
        assert f"read-only file system: mount {file.parent} writable" in said


@pytest.mark.parametrize("kind", ["fifo", "folder", "device"])
def test_what_is_no_regular_file_is_refused_at_once(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "thing"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    store = store_at(path)
    actions = [store.read, store.preflight] + [lambda: put(path, "new")] * (kind != "device")
    for action in actions:
        with pytest.raises(StoreError, match=r"it is (a folder|no regular file)"):
            action()


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"#" * (1 << 20) + b"\n")
    with pytest.raises(StoreError, match="larger than 1 MiB"):
        store_at(path).read()
    path.write_bytes((b"#" * 1023 + b"\n") * 1024)
    with pytest.raises(StoreError, match="grow beyond 1 MiB"):
        put(path, "new")


def test_a_missing_folder_is_unreachable_not_absent(tmp_path: Path) -> None:
    store = store_at(tmp_path / "gone" / ".env")
    for action in (store.read, store.preflight, store.hold().__enter__):
        with pytest.raises(StoreUnreachableError, match=r"there is no folder .*/gone: create"):
            action()


def test_a_folder_in_which_nobody_creates_files_is_named() -> None:
    with pytest.raises(StoreUnreachableError, match=r"file system of /proc lets nobody create"):
        store_at(Path("/proc/.env")).preflight()


def test_a_file_for_a_folder_is_unreachable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnreachableError, match="is no folder: correct the path"):
        store_at(tmp_path / "file" / ".env").read()


def test_a_failing_disk_is_unreachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / ".env"
    path.write_text("TOKEN=old\n")

    def broken(*_: object) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "pread", broken)
    with pytest.raises(StoreUnreachableError, match="Input/output error: check the file system"):
        store_at(path).read()


def test_a_path_with_a_newline_still_makes_one_line(tmp_path: Path) -> None:
    with pytest.raises(StoreUnreachableError) as caught:
        store_at(tmp_path / "a\nb" / ".env").read()
    assert "\n" not in str(caught.value)

"""Files that no new file can replace: rewritten where they are, and mended after a crash."""

import errno
import fcntl
import itertools
import os
from pathlib import Path

import pytest

from backends.dotenv.rewrite import opened_in_place
from rotator.errors import StoreError
from rotator.stores.port import Entry
from tests.dotenv.children import output_in_mounts, why_no_mounts
from tests.dotenv.helpers import NO_JOURNAL, dotenv_value, names_in, put, store_at

with_mounts = pytest.mark.skipif(bool(why_no_mounts()), reason=why_no_mounts() or "-")
BIND = 'd=$(dirname "$1"); mount --bind "$d/source" "$1"'
OLD, NEW = b"A=1\nTOKEN=old-one\nB=2\n", b"A=1\nTOKEN=new-and-longer\nB=2\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / ".env"
    path.write_bytes(OLD)
    path.chmod(0o640)
    (tmp_path / "twin").hardlink_to(path)
    return path


def secret(path: Path) -> str:
    entry = store_at(path).read()
    assert isinstance(entry, Entry)
    return entry.secret


@pytest.mark.parametrize("token", ["new-and-longer", "n"])
def test_a_hard_link_stays_one(token: str, file: Path, tmp_path: Path) -> None:
    store_at(file).preflight()
    put(file, token)
    assert file.samefile(tmp_path / "twin")
    assert (tmp_path / "twin").read_bytes() == OLD.replace(b"old-one", token.encode())
    assert names_in(tmp_path) == [".env", "twin"]
    assert file.stat().st_mode & 0o777 == 0o640


@with_mounts
@pytest.mark.parametrize("proc", ["", "\nmount -t tmpfs none /proc"])
def test_a_file_mounted_into_a_container_is_changed_for_both_sides(
    proc: str, tmp_path: Path
) -> None:
    (tmp_path / "source").write_bytes(OLD)
    (tmp_path / ".env").touch()
    code = "outcome(store_at(path).preflight); outcome(lambda: put(path, 'new-and-longer'))"
    assert output_in_mounts(BIND + proc, code, tmp_path / ".env") == "fine\nfine"
    assert (tmp_path / "source").read_bytes() == NEW
    assert names_in(tmp_path) == [".env", "source"]


@with_mounts
def test_preflight_sees_that_a_file_is_mounted_read_only(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(OLD)
    (tmp_path / ".env").touch()
    mounts = f'{BIND}; mount -o remount,bind,ro "$1"'
    said = output_in_mounts(mounts, "outcome(store_at(path).preflight)", tmp_path / ".env")
    assert said.startswith("StoreDeniedError")
    assert "read-only file system" in said


def test_the_lock_on_the_file_itself_keeps_other_names_out(file: Path, tmp_path: Path) -> None:
    version = store_at(file).read().version
    with opened_in_place(tmp_path / "twin") as fd:
        fcntl.flock(fd, fcntl.LOCK_EX)
        with pytest.raises(StoreError, match="another program has locked it"):
            store_at(file).write("new", NO_JOURNAL, expected=version)
    assert file.read_bytes() == OLD


@pytest.mark.parametrize("size", range(len(NEW)))
def test_a_crash_at_any_byte_is_read_as_old_or_new_and_mended(
    size: int, file: Path, tmp_path: Path
) -> None:
    half = NEW[:size] + OLD[size:]
    file.write_bytes(half)
    (tmp_path / ".env.rotator-new").write_bytes(NEW)
    (tmp_path / ".env.rotator-backup").write_bytes(OLD)
    whole = half if half in (OLD, NEW) else OLD
    assert secret(file) == ("new-and-longer" if whole == NEW else "old-one")
    assert file.read_bytes() == half
    with store_at(file).hold():
        assert file.read_bytes() == whole
    assert names_in(tmp_path) == [".env", "twin"]
    put(file, "newest")
    assert dotenv_value(file) == "newest"


def test_what_somebody_wrote_after_a_crash_is_theirs(file: Path, tmp_path: Path) -> None:
    file.write_bytes(b"TOKEN=by-hand\n")
    (tmp_path / ".env.rotator-new").write_bytes(NEW)
    (tmp_path / ".env.rotator-backup").write_bytes(OLD)
    assert secret(file) == "by-hand"
    with store_at(file).hold():
        assert secret(file) == "by-hand"
    assert names_in(tmp_path) == [".env", "twin"]


def test_a_stranger_cannot_plant_a_backup(file: Path, tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can give files away")
    backup = tmp_path / ".env.rotator-backup"
    (tmp_path / ".env.rotator-new").write_bytes(OLD[:-1] + b" ")
    backup.write_bytes(OLD.replace(b"old-one", b"bad-one"))
    assert secret(file) == "bad-one", "it is no backup that anybody would take"
    os.chown(backup, 1234, 1234)
    before = file.read_bytes()
    assert secret(file) == "old-one"
    with store_at(file).hold():
        assert file.read_bytes() == before


@pytest.mark.parametrize("failing", range(4))
def test_a_disk_that_fills_up_half_way_brings_the_old_content_back(
    failing: int, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = itertools.count()
    pwrite = os.pwrite

    def full(fd: int, content: bytes, offset: int) -> int:
        if next(counter) == failing:
            pwrite(fd, content[: len(content) // 2], offset)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return pwrite(fd, content, offset)

    monkeypatch.setattr(os, "pwrite", full)
    if failing == 3:
        put(file, "new-and-longer")
        return
    with pytest.raises(StoreError, match="disk full"):
        put(file, "new-and-longer")
    assert file.read_bytes() == OLD
    assert names_in(tmp_path) == [".env", "twin"]


def test_a_disk_that_stays_full_leaves_the_backup_to_the_next_one(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = itertools.count()
    pwrite = os.pwrite

    def full(fd: int, content: bytes, offset: int) -> int:
        if next(counter) >= 2:
            if content == NEW:
                pwrite(fd, content[:15], offset)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return pwrite(fd, content, offset)

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(StoreError, match="disk full"):
        put(file, "new-and-longer")
    assert file.read_bytes() not in (OLD, NEW)
    assert names_in(tmp_path) == [".env", ".env.rotator-backup", ".env.rotator-new", "twin"]
    assert secret(file) == "old-one"
    monkeypatch.undo()
    put(file, "newest")
    assert file.read_bytes() == OLD.replace(b"old-one", b"newest")

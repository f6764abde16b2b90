"""Preflight proves that a write would succeed, changes nothing, and fails where it would."""

import errno
import os
from pathlib import Path

import pytest

from rotator.errors import StoreError
from tests.dotenv.children import output, output_in_mounts, why_no_mounts
from tests.dotenv.helpers import names_in, put, store_at

with_mounts = pytest.mark.skipif(bool(why_no_mounts()), reason=why_no_mounts() or "-")
SMALL_DISK = 'd=$(dirname "$1"); mount -t tmpfs -o size=64k,mode=755 none "$d"'
FULL = """
path.write_text("TOKEN=old\\n" + "#" * 9000 + "\\n")
{link}
with open(path.with_name("filler"), "wb", buffering=0) as filler:
    try:
        while filler.write(bytes(4096)): pass
    except OSError:
        filler.truncate(os.fstat(filler.fileno()).st_size - {left})
before = path.read_bytes()
outcome({action})
print(path.read_bytes() == before, sorted(os.listdir(path.parent)))
"""
LIMITED = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
outcome(lambda: put(path, "x" * 200))
"""


@pytest.mark.parametrize("kind", ["absent", "present", "linked"])
def test_preflight_changes_nothing(kind: str, tmp_path: Path) -> None:
    path = tmp_path / ".env"
    if kind != "absent":
        path.write_text("TOKEN=old\n")
    if kind == "linked":
        (tmp_path / "twin").hardlink_to(path)
    names, status = names_in(tmp_path), path.stat() if path.exists() else None
    store_at(path).preflight()
    assert names_in(tmp_path) == names
    if status:
        now = path.stat()
        assert (now.st_ino, now.st_mtime_ns, now.st_ctime_ns) == (
            status.st_ino,
            status.st_mtime_ns,
            status.st_ctime_ns,
        )


def test_preflight_refuses_a_file_that_would_not_be_written(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"\xef\xbb\xbf\xef\xbb\xbfTOKEN=old\n")
    for action in (store_at(path).preflight, lambda: put(path, "new")):
        with pytest.raises(StoreError, match="two byte order marks"):
            action()


def test_preflight_refuses_a_line_that_could_be_noted_but_not_written(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"TOKEN#x\n")
    with pytest.raises(StoreError, match="cannot be changed safely"):
        store_at(path).preflight()


@with_mounts
@pytest.mark.parametrize("link", ["", "path.with_name('twin').hardlink_to(path)"])
@pytest.mark.parametrize("action", ["store_at(path).preflight", "lambda: put(path, 'new')"])
def test_a_full_disk_is_said_and_nothing_is_lost(link: str, action: str, tmp_path: Path) -> None:
    code = FULL.format(link=link, left=0, action=action)
    said, left = output_in_mounts(SMALL_DISK, code, tmp_path / ".env").splitlines()
    assert said.startswith("StoreError")
    assert f"disk full: free some space, or raise the quota, for {tmp_path}" in said
    assert left == f"True ['.env', 'filler'{', ' + repr('twin') if link else ''}]"


@with_mounts
@pytest.mark.parametrize(
    ("link", "left"),
    [("", 16384), ("path.with_name('twin').hardlink_to(path)", 32768)],
    ids=["a new file", "two copies"],
)
def test_preflight_wants_more_room_than_the_write_will(
    link: str, left: int, tmp_path: Path
) -> None:
    code = FULL.format(link=link, left=left, action="store_at(path).preflight")
    assert "disk full" in output_in_mounts(SMALL_DISK, code, tmp_path / ".env")
    code = FULL.format(link=link, left=left, action="lambda: put(path, 'new')")
    assert output_in_mounts(SMALL_DISK, code, tmp_path / ".env").startswith("fine")


def test_a_limit_on_the_size_of_files_is_a_full_disk(tmp_path: Path) -> None:
    said = output(LIMITED, tmp_path / ".env")
    assert said.startswith("StoreError")
    assert "disk full" in said
    assert "xxx" not in said
    assert names_in(tmp_path) == []


def test_a_folder_that_cannot_be_synced_is_worth_a_warning_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fsync = os.fsync

    def refuse_folders(fd: int) -> None:
        if os.path.isdir(f"/dev/fd/{fd}"):  # noqa: PTH112 - no path, but a number
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        fsync(fd)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    put(tmp_path / ".env", "new")
    assert (tmp_path / ".env").read_text() == "TOKEN=new\n"
    assert "a power cut may undo it" in caplog.text

"""What a new file takes over from the one whose place it takes."""

import os
import sys
from pathlib import Path

import pytest

from rotator.errors import ConflictError, StoreUnreachableError
from tests.dotenv.helpers import NO_JOURNAL, dotenv_value, names_in, put, store_at


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / ".env"
    path.write_text("TOKEN=old\n")
    return path


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o400, 0o664, 0o755])
def test_the_mode_is_kept(mode: int, file: Path) -> None:
    file.chmod(mode)
    put(file, "new")
    assert file.stat().st_mode & 0o7777 == mode


def test_owner_and_group_are_kept(file: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can give files away")
    os.chown(file, 1234, 2345)
    file.chmod(0o640)
    put(file, "new")
    status = file.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (1234, 2345, 0o640)
    assert dotenv_value(file) == "new"


def test_extended_attributes_are_kept(file: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("the standard library knows them on Linux only")
    os.setxattr(file, "user.note", b"x\0y")
    put(file, "new")
    assert os.getxattr(file, "user.note") == b"x\0y"


def test_access_lists_are_kept_and_none_is_inherited(file: Path, tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("the standard library knows them on Linux only")
    entries = [(1, 6, -1), (2, 4, 1234), (4, 0, -1), (16, 4, -1), (32, 0, -1)]
    access_list = b"\2\0\0\0" + b"".join(
        tag.to_bytes(2, "little")
        + rights.to_bytes(2, "little")
        + who.to_bytes(4, "little", signed=True)
        for tag, rights, who in entries
    )
    os.setxattr(tmp_path, "system.posix_acl_default", access_list)
    put(file, "new")
    assert os.listxattr(file) == []
    os.setxattr(file, "system.posix_acl_access", access_list)
    put(file, "newer")
    assert os.getxattr(file, "system.posix_acl_access") == access_list


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_a_new_file_is_for_its_owner_only(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        put(tmp_path / "fresh", "new")
    finally:
        os.umask(before)
    assert (tmp_path / "fresh").stat().st_mode & 0o7777 == 0o600


def test_nothing_is_left_beside_the_file(file: Path, tmp_path: Path) -> None:
    put(file, "new")
    assert names_in(tmp_path) == [".env"]


def test_writing_what_is_there_leaves_the_file_alone(file: Path) -> None:
    put(file, "new")
    before = file.stat()
    put(file, "new")
    assert file.stat() == before


@pytest.mark.parametrize("link", ["here", "sub/there"])
def test_a_symlink_stays_and_its_target_changes(link: str, file: Path, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    path = tmp_path / link
    path.symlink_to(os.path.relpath(file, path.parent))
    put(path, "new")
    assert path.is_symlink()
    assert dotenv_value(file) == "new"
    assert names_in(path.parent) == sorted({path.name, *names_in(path.parent)})
    assert not [name for name in names_in(tmp_path / "sub") if "rotator" in name]


def test_a_dangling_symlink_gets_its_target(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("real")
    put(tmp_path / "link", "new")
    assert names_in(tmp_path) == ["link", "real"]
    assert (tmp_path / "link").is_symlink()


def test_a_symlink_that_moves_is_followed_anew(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(file)
    store = store_at(link)
    (tmp_path / "other").write_text("TOKEN=other\n")
    link.unlink()
    link.symlink_to("other")
    store.write("new", NO_JOURNAL, expected=store.read().version)
    assert (dotenv_value(file), dotenv_value(tmp_path / "other")) == ("old", "new")


def test_a_symlink_that_moves_while_held_is_a_conflict(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(file)
    store = store_at(link)
    version = store.read().version
    with store.hold():
        (tmp_path / "other").write_text("TOKEN=old\n")
        link.unlink()
        link.symlink_to("other")
        with pytest.raises(ConflictError):
            store.write("new", NO_JOURNAL, expected=version)
    assert dotenv_value(tmp_path / "other") == "old"


def test_a_loop_of_symlinks_is_unreachable(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    for action in (store_at(tmp_path / "a").read, store_at(tmp_path / "a").preflight):
        with pytest.raises(StoreUnreachableError, match="loop of symlinks"):
            action()


@pytest.mark.parametrize("times", [1, 99])
def test_an_editor_without_a_lock_loses_nothing(
    times: int, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edits = iter(range(times))

    def fsync_and_edit(fd: int) -> None:
        os.close(os.dup(fd))
        if (number := next(edits, None)) is not None:
            file.write_text(f"EDIT={number}\nTOKEN=old\n")

    monkeypatch.setattr(os, "fsync", fsync_and_edit)
    if times == 1:
        put(file, "new")
        assert file.read_text() == "EDIT=0\nTOKEN=new\n"
    else:
        with pytest.raises(ConflictError, match="keeps changing"):
            put(file, "new")
        assert "TOKEN=old" in file.read_text()
    assert names_in(file.parent) == [".env"]

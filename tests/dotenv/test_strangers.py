"""Other people in the same folder: what they plant is not believed, and stops nobody."""

import os
import socket
import subprocess
from pathlib import Path

import pytest

from rotator.errors import StoreError
from rotator.stores.port import Entry
from tests.dotenv.children import NOBODY, output
from tests.dotenv.helpers import names_in, note, put, store_at

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
COPIES = (".env.rotator-backup", ".env.rotator-new")
THINGS = ("fifo", "folder", "huge", "symlink", "socket", "foreign", "unreadable")


@pytest.fixture
def file(open_folder: Path) -> Path:
    path = open_folder / ".env"
    path.write_text("TOKEN=old\n")
    path.chmod(0o600)
    return path


def plant(path: Path, thing: str) -> None:
    if thing == "fifo":
        os.mkfifo(path)
    elif thing == "folder":
        (path / "full").mkdir(parents=True)
    elif thing == "huge":
        path.touch()
        os.truncate(path, 1 << 40)
    elif thing == "symlink":
        path.symlink_to("elsewhere")
    elif thing == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    else:
        path.write_text("TOKEN=evil\n")
        path.chmod(0o000 if thing == "unreadable" else 0o666)
        if os.geteuid() == 0:
            os.chown(path, 1234, 1234)


def secret(path: Path) -> str:
    entry = store_at(path).read()
    assert isinstance(entry, Entry)
    return entry.secret


@pytest.mark.parametrize("name", COPIES)
@pytest.mark.parametrize("thing", THINGS)
def test_what_is_no_copy_of_ours_stops_no_reader_and_no_replacement(
    thing: str, name: str, file: Path
) -> None:
    plant(file.with_name(name), thing)
    assert secret(file) == "old"
    store_at(file).preflight()
    put(file, "new")
    assert secret(file) == "new"


@pytest.mark.parametrize("name", COPIES)
def test_what_is_in_the_way_of_a_copy_is_named_before_anything_is_changed(
    name: str, file: Path
) -> None:
    file.with_name("twin").hardlink_to(file)
    plant(file.with_name(name), "folder")
    for action in (store_at(file).preflight, lambda: put(file, "new")):
        with pytest.raises(StoreError, match=f"{name}' is in the way, and no copy that a rotator"):
            action()
    assert secret(file) == "old"
    assert file.read_text() == "TOKEN=old\n"


@as_root
def test_a_reader_is_not_stopped_by_a_copy_that_it_may_not_read(file: Path) -> None:
    file.chmod(0o644)
    file.with_name(COPIES[0]).write_text("TOKEN=older\n")
    file.with_name(COPIES[0]).chmod(0o600)
    assert output("print(store_at(path).read().secret)", file, user=NOBODY).endswith("old")
    said = output("outcome(lambda: put(path, 'new'))", file, user=NOBODY)
    assert f"may not read {file}.rotator-backup, a copy that another user's rotator left" in said


@pytest.mark.parametrize("thing", ["fifo", "folder", "symlink", "socket"])
def test_what_is_no_lock_is_named_and_stops_no_reader(thing: str, file: Path) -> None:
    plant(file.with_name(".env.rotator-lock"), thing)
    assert secret(file) == "old"
    for action in (lambda: put(file, "new"), lambda: note(file), store_at(file).held_elsewhere):
        with pytest.raises(StoreError, match=r"\.env\.rotator-lock is no regular file, so no rot"):
            action()
    assert file.read_text() == "TOKEN=old\n"


def test_what_is_no_temporary_file_is_left_alone(file: Path) -> None:
    name = f".env.{'0' * 16}.rotator-tmp"
    plant(file.with_name(name), "folder")
    put(file, "new")
    assert names_in(file.parent) == [".env", name]


# Symlinks


def link(path: Path, target: Path | str, owner: int) -> Path:
    path.symlink_to(target)
    os.chown(path, owner, owner, follow_symlinks=False)
    return path


def assert_refused(path: Path, planted: Path) -> None:
    store = store_at(path)
    for action in (store.read, store.preflight, store.hold().__enter__, store.held_elsewhere):
        with pytest.raises(StoreError, match=f"{planted} is a symlink of user 1234, who does not"):
            action()


@as_root
def test_a_strangers_link_to_our_file_is_not_followed(file: Path) -> None:
    planted = link(file.with_name("link"), ".env", 1234)
    assert_refused(planted, planted)
    assert file.read_text() == "TOKEN=old\n"


@as_root
def test_a_bots_link_to_a_file_of_root_is_not_followed(file: Path) -> None:
    (file.parent / "srv").mkdir()
    os.chown(file.parent / "srv", 1234, 1234)
    planted = link(file.parent / "srv/.env", "../.env", 1234)
    assert_refused(planted, planted)


@as_root
def test_a_strangers_link_to_no_file_yet_is_not_followed(file: Path) -> None:
    planted = link(file.with_name("link"), "missing", 1234)
    assert_refused(planted, planted)
    assert not file.with_name("missing").exists()


@as_root
def test_a_strangers_link_on_the_way_is_not_followed(file: Path) -> None:
    (file.parent / "real").mkdir()
    (file.parent / "real/.env").write_text("TOKEN=old\n")
    planted = link(file.with_name("way"), "real", 1234)
    assert_refused(planted / ".env", planted)
    assert_refused(file.with_name("way") / "../.env", planted)


@as_root
def test_a_strangers_link_behind_one_of_ours_is_not_followed(file: Path) -> None:
    planted = link(file.with_name("second"), ".env", 1234)
    assert_refused(link(file.with_name("first"), "second", 0), planted)


@as_root
@pytest.mark.parametrize("absolute", [False, True])
def test_a_link_of_the_files_owner_is_followed(file: Path, *, absolute: bool) -> None:
    os.chown(file, 1234, 1234)
    path = link(file.with_name("link"), file if absolute else ".env", 1234)
    put(path, "new")
    assert (file.read_text(), file.stat().st_uid) == ("TOKEN=new\n", 1234)
    assert path.is_symlink()


@as_root
def test_a_link_of_root_is_followed_by_everybody(file: Path) -> None:
    file.chmod(0o644)
    path = link(file.with_name("link"), ".env", 0)
    assert output("print(store_at(path).read().secret)", path, user=NOBODY).endswith("old")


@as_root
def test_a_link_of_ones_own_is_followed(file: Path) -> None:
    file.chmod(0o644)
    path = link(file.with_name("link"), ".env", NOBODY)
    assert output("print(store_at(path).read().secret)", path, user=NOBODY).endswith("old")


@as_root
def test_a_strangers_link_into_another_mount_namespace_is_not_followed(file: Path) -> None:
    # There the file has the very path that is configured here, and so the kernel says.
    way = file.with_name("way")
    script = f"mount -t tmpfs none {file.parent} && mkdir {way} && echo TOKEN=theirs >{way}/.env"
    with subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", f"{script} && echo done && read -r _"],  # noqa: S607 - any unshare
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as elsewhere:
        assert elsewhere.stdout
        assert elsewhere.stdout.readline() == b"done\n"
        planted = link(way, f"/proc/{elsewhere.pid}/root{way}", 1234)
        assert (way / ".env").read_text() == "TOKEN=theirs\n"
        assert_refused(way / ".env", planted)

"""What has to be on the disk before the next step: a power cut may keep all that comes later."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rotator.stores.journal import Journal
from tests.dotenv.helpers import put

Steps = list[str]


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Steps:
    """Record, by name, what is written, flushed, moved and removed from now on."""
    seen: Steps = []

    def name(fd: int) -> str:
        path = Path(f"/proc/self/fd/{fd}").readlink()
        return "folder" if path == tmp_path else _kind(path)

    def recorded(what: str, call: Callable[..., object]) -> Callable[..., object]:
        def act(fd: int, *args: object) -> object:
            seen.append(f"{what} {name(fd)}")
            return call(fd, *args)

        return act

    rename, unlink = Path.rename, Path.unlink

    def renamed(old: Path, new: Path) -> Path:
        seen.append(f"rename {_kind(old)} {_kind(new)}")
        return rename(old, new)

    def unlinked(path: Path, *, missing_ok: bool = False) -> None:
        if path.exists():
            seen.append(f"unlink {_kind(path)}")
        unlink(path, missing_ok=missing_ok)

    for what in ("pwrite", "ftruncate", "fsync"):
        monkeypatch.setattr(os, what, recorded(what, getattr(os, what)))
    monkeypatch.setattr(Path, "rename", renamed)
    monkeypatch.setattr(Path, "unlink", unlinked)
    return seen


def _kind(path: Path) -> str:
    return path.name.removeprefix(".env").rpartition("-")[2] or "file"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="asks /proc for the names")
def test_a_new_file_is_on_the_disk_before_it_takes_the_old_ones_place(
    tmp_path: Path, steps: Steps
) -> None:
    (tmp_path / ".env").write_text("TOKEN=old\n")
    put(tmp_path / ".env", "new", Journal(token_id="t"))
    assert steps == [
        "pwrite tmp",
        "fsync tmp",
        "rename tmp file",
        "fsync folder",
        "unlink lock",
    ]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="asks /proc for the names")
def test_both_copies_are_on_the_disk_while_a_file_is_rewritten_in_place(
    tmp_path: Path, steps: Steps
) -> None:
    (tmp_path / ".env").write_text("TOKEN=old\n")
    (tmp_path / "twin").hardlink_to(tmp_path / ".env")
    put(tmp_path / ".env", "new", Journal(token_id="t"))
    copied = ["pwrite tmp", "fsync tmp", "rename tmp {}"]
    assert steps == [
        *(step.format("new") for step in copied),
        *(step.format("backup") for step in copied),
        "fsync folder",
        "pwrite file",
        "ftruncate file",
        "fsync file",
        "unlink backup",
        "unlink new",
        "unlink lock",
    ]

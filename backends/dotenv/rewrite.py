"""Rewriting a file in place, where no new file can take its place, and surviving a crash there.

While the bytes change, two complete files lie beside it: the new content (`.rotator-new`) and the
old (`.rotator-backup`). The backup comes last and goes first, so that its existence means: both are
complete, and the file itself may be half of each.
"""

import fcntl
import logging
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from backends._envfile.replace import ChangedError
from backends.dotenv.files import (
    SIDECAR,
    Seen,
    load,
    read_all,
    remove_leftovers,
    sync_folder,
    temporary,
    write_all,
)

_MOST_LOOKS = 500
_log = logging.getLogger(__name__)


class _State(NamedTuple):
    seen: Seen
    new: bytes | None
    old: bytes | None

    @property
    def contents(self) -> tuple[bytes, bytes | None, bytes | None]:
        return self.seen.content, self.new, self.old


def open_in_place(path: Path) -> int:
    """Open a file for reading and for rewriting; an error says that we may not."""
    return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)


def rewrite(path: Path, seen: Seen, content: bytes) -> None:
    """Write `content` over the file that was seen; on failure the old content is put back."""
    fd = open_in_place(path)
    try:
        _claim(fd, seen)
        try:
            _save(path, "new", content)
            _save(path, "backup", seen.content)
            sync_folder(path.parent)
        except BaseException:
            _forget(path)
            raise
        try:
            _fill(fd, content)
        except BaseException:
            _log.warning("%s: writing failed half-way; the old content is in the backup", path)
            _fill(fd, seen.content)
            _forget(path)
            raise
        _forget(path)
    finally:
        os.close(fd)


def settle(path: Path) -> None:
    """Put right what a killed writer left behind; call it under the lock only."""
    remove_leftovers(path)
    state = _look(path)
    if state.old is not None and _is_half(state):
        fd = open_in_place(path)
        try:
            _fill(fd, state.old)
        finally:
            os.close(fd)
        _log.warning("%s: a rotator died while writing it; its old content is back", path)
    _forget(path)


def load_settled(path: Path) -> Seen:
    """Read a file without a lock, while it may be rewritten: old or new, never half of each.

    It takes two equal looks: a rewriting that began and ended unseen during the first has ended
    when the second one begins.
    """
    last = _look(path)
    for _ in range(_MOST_LOOKS):
        state = _look(path)
        if state.contents == last.contents:
            if state.old is not None and _is_half(state):
                return Seen(state.old, state.seen.status)
            return state.seen
        last = state
        time.sleep(0.001)
    raise ChangedError


def _look(path: Path) -> _State:
    # The copies come first: two equal answers about them then enclose a look at the file.
    old, new = _copy(path, "backup"), _copy(path, "new")
    return _State(load(path), new, old)


def _is_half(state: _State) -> bool:
    """Say whether the file is a mixture of old and new; what else it is, somebody made it so."""
    file, old, new = state.seen.content, state.old or b"", state.new or b""
    shorter, longer = sorted((len(old), len(new)))
    if file in (old, new) or not shorter <= len(file) <= longer:
        return False
    # A byte may also be zero: blocks that a power cut kept from the disk.
    pairs = zip(file, old.ljust(longer, b"\0"), new.ljust(longer, b"\0"), strict=False)
    return all(byte in (before, after, 0) for byte, before, after in pairs)


def _claim(fd: int, seen: Seen) -> None:
    """Make sure that this is the file that was seen, and ours while it is open.

    This lock is for those who know the file under another name: a hard link, or a mount.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ChangedError from None
    if not seen.same_file(os.fstat(fd)) or read_all(fd) != seen.content:
        raise ChangedError


def _fill(fd: int, content: bytes) -> None:
    write_all(fd, content)
    os.ftruncate(fd, len(content))
    os.fsync(fd)


def _beside(path: Path, kind: str) -> Path:
    return path.with_name(f"{path.name}{SIDECAR}{kind}")


def _save(path: Path, kind: str, content: bytes) -> None:
    with temporary(path) as (fd, name):
        write_all(fd, content)
        os.fsync(fd)
        name.rename(_beside(path, kind))


def _copy(path: Path, kind: str) -> bytes | None:
    """Return the content of a copy; one that a stranger could put into a shared folder is none."""
    content, status = load(_beside(path, kind))
    owners = {0, os.geteuid()}
    with suppress(FileNotFoundError):
        owners.add(path.lstat().st_uid)
    return content if status and status.st_uid in owners else None


def _forget(path: Path) -> None:
    _beside(path, "backup").unlink(missing_ok=True)
    _beside(path, "new").unlink(missing_ok=True)

"""One atomic replacement: readers see the old file or the new one, with the old one's rights."""

import errno
import fcntl
import logging
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from backends.dotenv.files import (
    LARGEST,
    SIDECAR,
    NotAnEnvFileError,
    Seen,
    load,
    read_all,
    remove_leftovers,
    sync_folder,
    temporary,
    write_all,
)

# EBUSY: a mount point, as in a container; EPERM: another's file in a folder like /tmp.
_UNMOVABLE = (errno.EBUSY, errno.EPERM)
_NO_ATTRIBUTES = (errno.ENOTSUP, errno.EPERM, errno.EACCES)


class ChangedError(Exception):
    """Somebody without a lock changed the file after it was read."""


class CannotReplaceError(Exception):
    """A new file cannot take this one's place and be all that it was: it has to be rewritten."""


def replace(path: Path, seen: Seen, content: bytes) -> None:
    """Put a new file with `content` in the place of the one that was seen there."""
    if seen.status and is_pinned(path, seen.status):
        raise CannotReplaceError
    with temporary(path) as (fd, name):
        write_all(fd, content)
        if seen.status:
            keep_attributes(fd, path, seen.status)
        os.fsync(fd)
        _refuse_change(path, seen)
        try:
            name.rename(path)
        except OSError as error:
            if seen.status and error.errno in _UNMOVABLE:
                raise CannotReplaceError from error
            raise
    sync_folder(path.parent)


def is_pinned(path: Path, status: os.stat_result) -> bool:
    """Say whether the file has other names, or is a mount point: a rename would leave those."""
    return status.st_nlink > 1 or _is_mounted(path)


def keep_attributes(fd: int, path: Path, status: os.stat_result) -> None:
    """Give the new file the old one's owner, access lists and mode: the mode last, it opens it."""
    try:
        own = os.fstat(fd)
        if (own.st_uid, own.st_gid) != (status.st_uid, status.st_gid):
            os.fchown(fd, status.st_uid, status.st_gid)
        _keep_extended(fd, path)
        os.fchmod(fd, status.st_mode & 0o7777)
    except OSError as error:
        if error.errno in _NO_ATTRIBUTES:
            raise CannotReplaceError from error
        raise


def _keep_extended(fd: int, path: Path) -> None:
    if sys.platform != "linux":
        return
    try:
        wanted = {key: os.getxattr(path, key) for key in os.listxattr(path)}
        own = {key: os.getxattr(fd, key) for key in os.listxattr(fd)}
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return
        raise
    for key in own.keys() - wanted.keys():
        os.removexattr(fd, key)  # an access list that the folder gives to new files
    for key, value in wanted.items():
        if own.get(key) != value:
            os.setxattr(fd, key, value)


def _refuse_change(path: Path, seen: Seen) -> None:
    try:
        changed = not seen.same_file(path.lstat())
    except FileNotFoundError:
        changed = seen.status is not None
    if changed:
        raise ChangedError


def _is_mounted(path: Path) -> bool:
    """Say whether the file itself is mounted: os.path.ismount knows only folders for sure."""
    return _mount_id(path) != _mount_id(path.parent)


def _mount_id(path: Path) -> str:
    if sys.platform != "linux":
        return ""
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        facts = Path(f"/proc/self/fdinfo/{fd}").read_text(encoding="utf-8")
    except OSError:
        return ""  # no /proc: the rename will tell
    finally:
        os.close(fd)
    return facts.partition("mnt_id:")[2].partition("\n")[0]


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


_SPARE = 12 << 10  # the longest secret and journal, and so more than any change can add


def change(path: Path, seen: Seen, content: bytes) -> None:
    """Give the file that was seen a new content: a new file where possible, else in place."""
    if len(content) > LARGEST:
        raise NotAnEnvFileError("it would grow beyond 1 MiB, which is no .env file")
    try:
        replace(path, seen, content)
    except CannotReplaceError:
        rewrite(path, seen, content)


def prove_changeable(path: Path, seen: Seen) -> None:
    """Prove rights and space with a file of zeros beside the target, which is removed again."""
    with temporary(path) as (fd, _):
        in_place = seen.status is not None and not _is_replaceable(fd, path, seen.status)
        if seen.status:
            _prove_openable(path, in_place=in_place)
        copies = 2 if in_place else 1
        write_all(fd, bytes(copies * (len(seen.content) + _SPARE)))
        os.fsync(fd)


def _is_replaceable(fd: int, path: Path, status: os.stat_result) -> bool:
    if is_pinned(path, status):
        return False
    try:
        keep_attributes(fd, path, status)
    except CannotReplaceError:
        return False
    return True


def _prove_openable(path: Path, *, in_place: bool) -> None:
    try:
        os.close(open_in_place(path))
    except OSError as error:
        # A replacement needs no right on the old file; but EPERM is a flag that forbids even that.
        if in_place or error.errno != errno.EACCES:
            raise

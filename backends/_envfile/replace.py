"""One atomic replacement: readers see the old file or the new one, with the old one's rights."""

import errno
import os
import sys
from pathlib import Path

from backends.dotenv.files import Seen, sync_folder, temporary, write_all

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

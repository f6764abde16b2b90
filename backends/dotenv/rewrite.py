"""One change of a file: readers see the old content or the new one, with the old one's rights.

Only regular files are touched, never a symlink, and nothing new is readable by others. A new file
takes the old one's place by a rename. Where a rename would lose something – a hard link, a mount
point, an owner that we may not give – the file is rewritten in place, with a copy of both contents
beside it until that is done.
"""

import errno
import fcntl
import logging
import os
import re
import stat
import sys
import time
from array import array
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from backends.locks import NO_LOCKS, close

SIDECAR = ".rotator-"
LARGEST = 1 << 20
_TEMPORARY = SIDECAR + "tmp"
_COPIES = ("backup", "new")
_LASTING = ("lock", *_COPIES)
_OURS = re.compile(
    rf"{re.escape(SIDECAR)}(?:{'|'.join(_LASTING)})|\.[0-9a-f]{{16}}{re.escape(_TEMPORARY)}"
)
_CHUNK = 64 << 10  # bytes; for more at once, the system would map and unmap memory
_LARGE_FOLDER = 1000  # files
_LISTING_SHARE = 10
_READING = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW
# EBUSY: a mount point, as in a container; EPERM: another's file in a folder like /tmp.
_UNMOVABLE = (errno.EBUSY, errno.EPERM)
# What file systems say that have no owners or modes, such as FAT and CIFS.
_NO_ATTRIBUTES = (errno.ENOTSUP, errno.ENOSYS, errno.EINVAL, errno.EPERM, errno.EACCES)
_GET_FLAGS = 0x80086601  # FS_IOC_GETFLAGS, from <linux/fs.h>
_APPEND_ONLY = 0x20  # FS_APPEND_FL
_MOST_LOOKS = 500
_SPARE = 12 << 10  # bytes: the longest secret and journal, the most that a change can add
_log = logging.getLogger(__name__)


class NotAnEnvFileError(Exception):
    """What is at the path is nothing that this store changes; the message says what it is."""


class ChangedError(Exception):
    """Somebody without a lock changed the file after it was read."""


class CannotReplaceError(Exception):
    """A new file cannot take this one's place and keep all that it was."""


class FileState(NamedTuple):
    """A file as it was read; `status` is None, and the content empty, where there was none."""

    content: bytes
    status: os.stat_result | None

    def is_same(self, later: "FileState") -> bool:
        """Tell whether nobody replaced or touched the file in between."""
        if self.status is None or later.status is None:
            return self.status is later.status
        # ctime shows a change of the mode, which is to be kept, and tools that reset mtime.
        facts = attrgetter("st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")
        return self.content == later.content and facts(self.status) == facts(later.status)


class _Listing(NamedTuple):
    """What a large folder showed, and until when (monotonic seconds) it is used."""

    names: frozenset[str]
    stale_at: float


_LISTINGS: dict[str, _Listing] = {}


def read_once(path: Path) -> FileState:
    """Read a whole file; a missing file is empty, a missing folder raises `OSError`."""
    try:
        # A device must not even be opened. O_NONBLOCK is for a FIFO that appears in between.
        _refuse_others(path.lstat())
        with _opened(path, _READING) as fd:
            status = os.fstat(fd)
            _refuse_others(status)
            return FileState(read_all(fd), status)
    except FileNotFoundError:
        path.parent.stat()
        return FileState(b"", None)


@contextmanager
def _opened(path: Path | str, flags: int) -> Iterator[int]:
    """Open a file – a new one is ours alone – that is synced or only read, and close it."""
    fd = os.open(path, flags | os.O_CLOEXEC, 0o600)
    try:
        yield fd
    finally:
        close(fd)


def read_all(fd: int) -> bytes:
    """Return the content of an open file; raises `NotAnEnvFileError` beyond 1 MiB."""
    content = b""
    while chunk := os.pread(fd, _CHUNK, len(content)):
        content += chunk
        if len(content) > LARGEST:
            raise NotAnEnvFileError("it is larger than 1 MiB, which is no .env file")
    return content


def write_all(fd: int, content: bytes) -> None:
    """Write the content from the start of an open file, in one call where the system takes it."""
    done = 0
    while done < len(content):
        done += os.pwrite(fd, content[done:], done)


def _refuse_others(status: os.stat_result) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    if stat.S_ISDIR(status.st_mode):
        raise NotAnEnvFileError("it is a folder: name the file in it")
    if not stat.S_ISREG(status.st_mode):
        raise NotAnEnvFileError("it is no regular file: a FIFO or device cannot keep a secret")


def change(path: Path, state: FileState, content: bytes) -> None:
    """Give the file that was read as `state` a new content.

    Raises `ChangedError`, `NotAnEnvFileError` and `OSError`; the file is then as it was.
    """
    if len(content) > LARGEST:
        raise NotAnEnvFileError("it would grow beyond 1 MiB, which is no .env file")
    try:
        _replace(path, state, content)
    except CannotReplaceError:
        _overwrite(path, state, content)


def prove_changeable(path: Path, state: FileState) -> None:
    """Prove rights and space with a file of zeros beside the target, which is removed again."""
    with temporary_file(path) as (fd, _):
        in_place = False
        if state.status:
            try:
                _refuse_pinned(path, state.status)
                _keep_attributes(fd, path, state.status)
            except CannotReplaceError:
                in_place = True
            try:
                with opened_in_place(path):
                    pass
            except OSError as error:
                # A rename needs no right on the old file, but EPERM is a flag that forbids both.
                if in_place or error.errno != errno.EACCES:
                    raise
        if in_place:
            _refuse_obstacles(path)
        copies = 2 if in_place else 1
        write_all(fd, bytes(copies * (len(state.content) + _SPARE)))
        os.fsync(fd)


def repair(path: Path) -> None:
    """Put right what a killed writer left behind; call it under the lock only."""
    remove_leftovers(path)
    old = _look(path, writing=True).content_to_restore
    if old is not None:
        with opened_in_place(path) as fd:
            _fill(fd, old)
        _log.warning("%s: a rotator died while writing it; its old content is back", path)
    _remove_copies(path)


def read_settled(path: Path) -> FileState:
    """Read a file without a lock, while it may be rewritten: old or new, never half of each.

    It takes two equal looks: a rewrite that began and ended unseen during the first one is over
    when the second one begins. Raises `ChangedError` when no two looks are equal.
    """
    if undisturbed := _read_undisturbed(str(path)):
        return undisturbed
    last = _look(path)
    for _ in range(_MOST_LOOKS):
        look = _look(path)
        if (look.file.content, *look[1:]) == (last.file.content, *last[1:]):
            old = look.content_to_restore
            return look.file if old is None else FileState(old, look.file.status)
        last = look
        time.sleep(0.001)
    raise ChangedError


def _read_undisturbed(path: str) -> FileState | None:
    """Return the file if it is there, with no copies beside it, by two equal looks; else None.

    It is opened once for both: who replaces the file in between leaves us the old one, whole. No
    rewrite is under way when the copies are looked for, so that no two looks at one are equal.
    """
    try:
        _refuse_others(os.lstat(path))
        with _opened(path, _READING) as fd:
            status = os.fstat(fd)
            _refuse_others(status)
            content = read_all(fd)
            is_same = not _has_copies(path) and read_all(fd) == content
            return FileState(content, status) if is_same else None
    except FileNotFoundError:
        return None


def _has_copies(path: str) -> bool:
    return any(os.path.lexists(f"{path}{SIDECAR}{kind}") for kind in _COPIES)


def opened_in_place(path: Path) -> AbstractContextManager[int]:
    """Open a file for reading and rewriting; raises `OSError` where we may not."""
    return _opened(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW)


# By a rename


@contextmanager
def temporary_file(path: Path) -> Iterator[tuple[int, Path]]:
    """Open a new file beside `path` that only we can read, and remove it unless it was renamed."""
    _refuse_append_only(path.parent)
    name = path.with_name(f"{path.name}.{os.urandom(8).hex()}{_TEMPORARY}")
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        with _opened(name, flags) as fd:
            try:
                os.fchmod(fd, 0o600)  # the umask may have taken even our own rights
            except OSError as error:
                if error.errno not in _NO_ATTRIBUTES:
                    raise
            yield fd, name
    finally:
        # Closed before: some file systems of other machines remove no file that is open.
        name.unlink(missing_ok=True)


def _refuse_append_only(folder: Path) -> None:
    """Refuse a folder from which nothing could be removed again, not even the new file."""
    if sys.platform != "linux":
        return
    flags = array("i", [0, 0])  # the kernel writes an int, though the call's number says long
    # Not every file system has flags.
    with suppress(OSError), _opened(folder, os.O_RDONLY | os.O_DIRECTORY) as fd:
        fcntl.ioctl(fd, _GET_FLAGS, flags)
    if flags[0] & _APPEND_ONLY:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(folder))


def has_leftovers(path: Path) -> bool:
    """Tell whether writers that live, or were killed, have files beside this one."""
    try:
        names = _names_of_rotators(os.path.dirname(path))  # noqa: PTH120 - as below
    except PermissionError:
        # A folder that we may write but not list hides temporary files from everybody else, too.
        names = frozenset(f"{path.name}{SIDECAR}{kind}" for kind in _LASTING)
    return any(_is_copy(path.with_name(name), path) for name in names if _is_ours(name, path))


def remove_leftovers(path: Path) -> None:
    """Remove the temporary files of writers that were killed; call it under the lock only."""
    try:
        names = os.listdir(path.parent)  # noqa: PTH208 - a Path for each file is a waste
    except PermissionError:
        return
    for name in names:
        if name.endswith(_TEMPORARY) and _is_ours(name, path):
            with suppress(OSError):  # a stranger's, in a folder like /tmp
                path.with_name(name).unlink()


def _is_ours(name: str, path: Path) -> bool:
    """Tell whether a rotator that changes this file gives such a name to a file beside it."""
    rest = name.removeprefix(path.name)
    return len(rest) < len(name) and _OURS.fullmatch(rest) is not None


def _names_of_rotators(folder: str) -> frozenset[str]:
    """Return the names of all files that rotators have in a folder.

    What a large folder shows is used for ten times as long as it took to list it: a fleet that lies
    in one folder would spend its time on that.
    """
    now = time.monotonic()
    known = _LISTINGS.get(folder)
    if known and now < known.stale_at:
        return known.names
    every = os.listdir(folder)  # noqa: PTH208 - a Path for each file is a waste
    listing = _Listing(
        frozenset(name for name in every if SIDECAR in name),
        stale_at=now + _LISTING_SHARE * (time.monotonic() - now),
    )
    if len(every) > _LARGE_FOLDER:
        _LISTINGS.clear()  # one is enough, and nothing grows
        _LISTINGS[folder] = listing
    return listing.names


def sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut; readers see it already, so a failure is only logged."""
    try:
        with _opened(folder, os.O_RDONLY | os.O_DIRECTORY) as fd:
            os.fsync(fd)
    except OSError as error:
        _log.warning("%s: written, but a power cut may undo it (%s)", folder, error.strerror)


def _replace(path: Path, state: FileState, content: bytes) -> None:
    if state.status:
        _refuse_pinned(path, state.status)
    with temporary_file(path) as (fd, name):
        write_all(fd, content)
        if state.status:
            _keep_attributes(fd, path, state.status)
        os.fsync(fd)
        _refuse_change(path, state)
        try:
            name.rename(path)
        except OSError as error:
            if state.status and error.errno in _UNMOVABLE:
                raise CannotReplaceError from error
            raise
    sync_folder(path.parent)


def _refuse_pinned(path: Path, status: os.stat_result) -> None:
    """Refuse a file that has other names, or is a mount point: a rename would leave those."""
    # os.path.ismount knows only folders for sure.
    if status.st_nlink > 1 or _mount_id(path) != _mount_id(path.parent):
        raise CannotReplaceError


def _mount_id(path: Path) -> bytes:
    if sys.platform != "linux":
        return b""
    with _opened(path, os.O_PATH) as fd:
        try:
            with _opened(f"/proc/self/fdinfo/{fd}", os.O_RDONLY) as info:
                facts = os.read(info, _CHUNK)
        except OSError:
            return b""  # no /proc: the rename will fail
    return facts.partition(b"mnt_id:")[2].partition(b"\n")[0]


def _keep_attributes(fd: int, path: Path, status: os.stat_result) -> None:
    """Give the new file the old one's owner, access lists and mode: the mode last, it opens it."""
    try:
        own = os.fstat(fd)
        if (own.st_uid, own.st_gid) != (status.st_uid, status.st_gid):
            os.fchown(fd, status.st_uid, status.st_gid)
        if sys.platform == "linux":
            _keep_extended_attributes(fd, path)
        wanted = stat.S_IMODE(status.st_mode)
        if stat.S_IMODE(os.fstat(fd).st_mode) != wanted:
            os.fchmod(fd, wanted)
    except OSError as error:
        if error.errno in _NO_ATTRIBUTES:
            raise CannotReplaceError from error
        raise


def _keep_extended_attributes(fd: int, path: Path) -> None:
    try:
        wanted = {key: os.getxattr(path, key) for key in os.listxattr(path)}
        own = {key: os.getxattr(fd, key) for key in os.listxattr(fd)}
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.ENOSYS):
            return
        raise CannotReplaceError from error  # what cannot be looked at stays in its place
    for key in own.keys() - wanted.keys():
        os.removexattr(fd, key)  # an access list that the folder gives to new files
    for key, value in wanted.items():
        if own.get(key) != value:
            os.setxattr(fd, key, value)


def _refuse_change(path: Path, state: FileState) -> None:
    """Refuse a file that somebody changed who does not share our lock.

    It is opened for that: a network file system may answer a mere look from memory. And it is read,
    as some date changes coarsely. Between this and the rename nothing can tell.
    """
    if not state.is_same(read_once(path)):
        raise ChangedError


# In place


class _Look(NamedTuple):
    """The file and the copies that a rewrite in place keeps beside it."""

    file: FileState
    new: bytes | None
    old: bytes | None

    @property
    def content_to_restore(self) -> bytes | None:
        """The old content, where the file is a mixture of old and new.

        Any other content is somebody's own change.
        """
        file, old, new = self.file.content, self.old, self.new or b""
        if old is None or file in (old, new):
            return None
        shorter, longer = sorted((len(old), len(new)))
        # A byte may also be zero: blocks that a power cut kept from the disk.
        pairs = zip(file, old.ljust(longer, b"\0"), new.ljust(longer, b"\0"), strict=False)
        is_mixture = all(byte in (before, after, 0) for byte, before, after in pairs)
        return old if is_mixture and shorter <= len(file) <= longer else None


def _look(path: Path, *, writing: bool = False) -> _Look:
    # The copies come first: two equal answers about them then enclose a look at the file.
    old, new = (_read_copy(path, kind, writing=writing) for kind in _COPIES)
    return _Look(read_once(path), new, old)


def _overwrite(path: Path, state: FileState, content: bytes) -> None:
    """Write `content` over the file that was read; on failure the old content is put back."""
    _refuse_obstacles(path)
    with opened_in_place(path) as fd:
        try:
            # This lock is for those who know the file under another name: a hard link, or a mount.
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ChangedError from None
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
        if not state.is_same(FileState(read_all(fd), os.fstat(fd))):
            raise ChangedError
        try:
            _save_copy(path, "new", content)
            _save_copy(path, "backup", state.content)
            sync_folder(path.parent)
        except BaseException:
            _remove_copies(path)
            raise
        try:
            _fill(fd, content)
        except BaseException:
            _log.warning("%s: writing failed half-way; the old content is in the backup", path)
            _fill(fd, state.content)
            _remove_copies(path)
            raise
        _remove_copies(path)


def _fill(fd: int, content: bytes) -> None:
    write_all(fd, content)
    os.ftruncate(fd, len(content))
    os.fsync(fd)


def _copy_path(path: Path, kind: str) -> Path:
    return path.with_name(f"{path.name}{SIDECAR}{kind}")


def _save_copy(path: Path, kind: str, content: bytes) -> None:
    with temporary_file(path) as (fd, name):
        write_all(fd, content)
        os.fsync(fd)
        name.rename(_copy_path(path, kind))


def _read_copy(path: Path, kind: str, *, writing: bool) -> bytes | None:
    """Return the content of a copy that a rotator made.

    Who only reads the file is not stopped by a copy that cannot be read; who changes it is, since
    the copy may be all that is left of the old content.
    """
    copy = _copy_path(path, kind)
    if not _is_copy(copy, path):
        return None
    try:
        return read_once(copy).content
    except (OSError, NotAnEnvFileError):
        if writing:
            raise
        return None


def _is_copy(copy: Path, path: Path) -> bool:
    """Tell whether a rotator made this file: others can put anything into a shared folder."""
    owners = {0, os.geteuid()}
    with suppress(OSError):
        owners.add(path.lstat().st_uid)
    try:
        status = copy.lstat()
    except OSError:  # a folder that may not be entered hides the file, too
        return False
    is_file = stat.S_ISREG(status.st_mode) and status.st_size <= LARGEST
    return is_file and status.st_uid in owners


def _refuse_obstacles(path: Path) -> None:
    """Refuse what stands where a copy is to be made, and is none."""
    for kind in _COPIES:
        copy = _copy_path(path, kind)
        if os.path.lexists(copy) and not _is_copy(copy, path):
            raise NotAnEnvFileError(
                f"{str(copy)!r} is in the way, and no copy that a rotator made: remove it"
            )


def _remove_copies(path: Path) -> None:
    for kind in _COPIES:
        copy = _copy_path(path, kind)
        try:
            copy.unlink(missing_ok=True)
        except OSError:
            if _is_copy(copy, path):
                raise

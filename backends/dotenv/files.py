"""Files, handled with care: regular ones only, never a symlink, nothing readable by others."""

import errno
import logging
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

SIDECAR = ".rotator-"
LARGEST = 1 << 20
_TEMPORARY = SIDECAR + "tmp"
_log = logging.getLogger(__name__)


class NotAnEnvFileError(Exception):
    """What is at the path is nothing that this store changes; the message says what it is."""


class FileState(NamedTuple):
    """A file as it was read; `status` is None, and the content empty, where there was none."""

    content: bytes
    status: os.stat_result | None

    def is_same(self, status: os.stat_result) -> bool:
        """Tell whether nobody replaced or touched the file since."""
        return self.status is not None and _identity(self.status) == _identity(status)


def read_file(path: Path) -> FileState:
    """Read a whole file; a missing file is empty, a missing folder raises `OSError`."""
    try:
        # A device must not even be opened. O_NONBLOCK is for a FIFO that appears in between.
        _refuse_others(path.lstat())
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        path.parent.stat()
        return FileState(b"", None)
    try:
        status = os.fstat(fd)
        _refuse_others(status)
        return FileState(read_all(fd), status)
    finally:
        os.close(fd)


def read_all(fd: int) -> bytes:
    """Return the content of an open file; raises `NotAnEnvFileError` beyond 1 MiB."""
    content = b""
    while chunk := os.pread(fd, LARGEST + 1 - len(content), len(content)):
        content += chunk
    if len(content) > LARGEST:
        raise NotAnEnvFileError("it is larger than 1 MiB, which is no .env file")
    return content


def write_all(fd: int, content: bytes) -> None:
    """Write the content from the start of an open file, in one call where the system takes it."""
    done = 0
    while done < len(content):
        done += os.pwrite(fd, content[done:], done)


@contextmanager
def temporary_file(path: Path) -> Iterator[tuple[int, Path]]:
    """Open a new file beside `path` that only we can read, and remove it unless it was renamed."""
    name = path.with_name(f"{path.name}.{os.urandom(8).hex()}{_TEMPORARY}")
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(name, flags, 0o600)
    try:
        os.fchmod(fd, 0o600)  # the umask may have taken even our own rights
        yield fd, name
    finally:
        os.close(fd)
        name.unlink(missing_ok=True)


def remove_leftovers(path: Path) -> None:
    """Remove the temporary files of writers that were killed; call it under the lock only."""
    ours = re.compile(re.escape(path.name) + r"\.[0-9a-f]{16}" + re.escape(_TEMPORARY))
    # A folder that we may write but not list hides its leftovers from everybody else, too.
    with suppress(PermissionError):
        for name in os.listdir(path.parent):  # noqa: PTH208 - a Path for each file is a waste
            if ours.fullmatch(name):
                path.with_name(name).unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut; readers see it already, so a failure is only logged."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        _log.warning("%s: written, but a power cut may undo it (%s)", folder, error.strerror)


def _refuse_others(status: os.stat_result) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    if stat.S_ISDIR(status.st_mode):
        raise NotAnEnvFileError("it is a folder: name the file in it")
    if not stat.S_ISREG(status.st_mode):
        raise NotAnEnvFileError("it is no regular file: a FIFO or device cannot keep a secret")


def _identity(status: os.stat_result) -> tuple[int, ...]:
    # ctime shows a change of the mode, which is to be kept, and tools that reset mtime.
    times = (status.st_mtime_ns, status.st_ctime_ns)
    return (status.st_dev, status.st_ino, status.st_size, *times)

"""Files that the owner names: read in bounded time and memory, locked, and whose folder it is.

A path may lead to a pipe, as in `<(pass show admin)`, and by mistake to a pipe that nobody writes
to, or to a device without an end.
"""

import errno
import fcntl
import os
import select
import stat
import time
from contextlib import suppress
from pathlib import Path

from rotator.clock import limit_wait

LARGEST = 4 << 20  # bytes; a kubeconfig may hold the certificates of many clusters
_PATIENCE = 60.0  # seconds for a pipe: a password manager may ask its user
_CHUNK = 1 << 16


def read_small_file(path: Path) -> bytes:
    """Return the content of a file; of a pipe, all that comes within a minute.

    Raises `OSError`, which says so where there is more than 4 MiB, or no end of it.
    """
    # O_NONBLOCK: opening a pipe would wait for a writer.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return _read(fd, str(path))
    finally:
        os.close(fd)


def read_small_text(path: Path, encoding: str = "utf-8", errors: str = "strict") -> str:
    """Return the same as text, with each line end as LF; raises `UnicodeDecodeError`, too."""
    text = read_small_file(path).decode(encoding, errors)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def require_ordinary(path: str | os.PathLike[str]) -> None:
    """Raise `OSError` for a file that a library would wait for, or read without an end.

    Libraries open certificates and profiles by themselves, more than once. What can be read once
    only, as a pipe, is of no use to them. A folder is left to them.
    """
    status = Path(path).stat()
    if stat.S_ISDIR(status.st_mode):
        return
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", os.fspath(path))
    if status.st_size > LARGEST:
        raise OSError(errno.EFBIG, "it is larger than 4 MiB", os.fspath(path))


def _read(fd: int, path: str) -> bytes:
    content, deadline = bytearray(), time.monotonic() + _PATIENCE
    while len(content) <= LARGEST:
        # Without a writer yet, a pipe would read as empty.
        left = max(0.0, limit_wait(deadline - time.monotonic()))
        if not select.select([fd], [], [], left)[0]:
            raise TimeoutError(errno.ETIMEDOUT, "nobody writes to the end of it", path)
        chunk = os.read(fd, _CHUNK)
        if not chunk:
            return bytes(content)
        content += chunk
    raise OSError(errno.EFBIG, "it is larger than 4 MiB", path)


def try_lock(number: int) -> bool:
    """Lock an open file or folder until it is closed; False where another process holds it.

    Where the file system has no locks, nothing is locked, and nobody kept out.
    """
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def find_foreign_folder(path: Path) -> tuple[str, int] | None:
    """Return a folder of another user on the way to a file, and its owner's id, if we are root.

    The owner can put a symlink in the place of what is in it, between a look and a write of ours.
    """
    if os.geteuid() != 0:
        return None
    for folder in path.parents:
        with suppress(OSError):
            owner = folder.stat().st_uid
            if owner != 0:
                return str(folder), owner
    return None

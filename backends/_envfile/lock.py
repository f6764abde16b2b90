"""A lock between the rotators of one machine, which a dying process cannot leave behind."""

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

from backends._envfile.files import SIDECAR

_PAUSE = 0.02


class LockTimeoutError(Exception):
    """Somebody held the lock for all the time that there was."""


class FileLock:
    """An flock on a file beside `path`; the file is gone again when nobody holds it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.with_name(f"{path.name}{SIDECAR}lock")
        self._fd = -1

    def acquire(self, timeout: float) -> None:
        """Wait for the lock, at most `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while not self._try():
            if time.monotonic() >= deadline:
                raise LockTimeoutError
            time.sleep(_PAUSE)

    def release(self) -> None:
        """Let the next one in; a lock file that cannot be removed is no lock, only litter."""
        with suppress(OSError):
            self._file.unlink()
        os.close(self._fd)

    def _try(self) -> bool:
        fd = self._open()
        if fd is None:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The holder before us removed its file: a lock on that one keeps nobody out.
            ours = os.path.samestat(os.fstat(fd), self._file.lstat())
        except (BlockingIOError, FileNotFoundError):
            ours = False
        except BaseException:
            os.close(fd)
            raise
        if ours:
            self._fd = fd
        else:
            os.close(fd)
        return ours

    def _open(self) -> int | None:
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            # Not O_CREAT alone: in folders like /tmp, Linux refuses it for another user's file.
            return os.open(self._file, flags)
        except PermissionError:
            if self._file.exists():
                return None  # another user's rotator is at work: wait for it
            raise
        except FileNotFoundError:
            with suppress(FileExistsError):
                return os.open(self._file, flags | os.O_CREAT | os.O_EXCL, 0o600)
            return None

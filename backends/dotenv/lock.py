"""A lock between the rotators of one machine, which a dying process cannot leave behind."""

import fcntl
import os
import threading
import time
from contextlib import suppress
from pathlib import Path

from backends.dotenv.files import SIDECAR

_PAUSE = 0.02
_MOST_LOOKS = 100
_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LONGEST_QUEUE = 3600.0  # seconds; each thread before us is bounded by its own time-outs


class LockTimeoutError(Exception):
    """Somebody held the lock for all the time that there was."""


class _Door:
    """Where the threads of this process queue up for one file; the kernel knows processes only."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.inside = 0
        # Only for the moments in which the kernel's lock is taken, let go or asked about.
        self.brief = threading.Lock()
        self.fd = -1


# One for each file, and for the whole process: that is what it is about.
_DOORS: dict[str, _Door] = {}


class FileLock:
    """An flock on a file beside `path`; the file is gone again when nobody holds it.

    Within one process the threads queue up before it, for an hour at most. The one that is
    inside may enter once more: a token may be kept in two variables of one file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.with_name(f"{path.name}{SIDECAR}lock")
        self._door = _DOORS.setdefault(str(path), _Door())

    def acquire(self, timeout: float) -> None:
        """Wait for the lock, at most `timeout` seconds for other processes."""
        if not self._door.lock.acquire(timeout=_LONGEST_QUEUE):
            raise LockTimeoutError
        try:
            if self._door.inside == 0:
                self._wait(timeout)
            self._door.inside += 1
        except BaseException:
            self._door.lock.release()
            raise

    def release(self) -> None:
        """Let the next one in; a lock file that cannot be removed is no lock, only litter."""
        self._door.inside -= 1
        if self._door.inside == 0:
            self._leave()
        self._door.lock.release()

    def held_elsewhere(self) -> bool:
        """Tell whether another process holds the lock now, without waiting for it or taking it.

        A lock file that another user left behind looks held, since only its owner can try it.
        """
        with self._door.brief:
            if self._door.fd >= 0:
                return False
            for _ in range(_MOST_LOOKS):
                try:
                    held = self._look()
                except FileNotFoundError:
                    self._file.parent.stat()  # a missing folder is no answer
                    return False
                if held is not None:
                    return held
        return True  # it passes from hand to hand

    def _look(self) -> bool | None:
        """Return None where the file was another one at the end: a lock on that tells nothing."""
        try:
            fd = os.open(self._file, os.O_RDONLY | _FLAGS)
        except PermissionError:
            self._file.lstat()  # raises when it is the folder that may not be entered
            return True
        try:
            held = _is_locked(fd)
            return held if os.path.samestat(os.fstat(fd), self._file.lstat()) else None
        finally:
            os.close(fd)

    def _leave(self) -> None:
        with self._door.brief:
            with suppress(OSError):
                self._file.unlink()
            os.close(self._door.fd)
            self._door.fd = -1

    def _wait(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not self._tried():
            if time.monotonic() >= deadline:
                raise LockTimeoutError
            time.sleep(_PAUSE)

    def _tried(self) -> bool:
        with self._door.brief:
            return self._try()

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
            self._door.fd = fd
        else:
            os.close(fd)
        return ours

    def _open(self) -> int | None:
        flags = os.O_RDWR | _FLAGS
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


def _is_locked(fd: int) -> bool:
    try:
        # Shared, for those who ask must not take each other for a holder. Who comes to take the
        # lock in this instant tries again.
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False

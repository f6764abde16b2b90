"""A lock between the rotators of one machine, which the kernel releases when its holder dies."""

import fcntl
import os
import threading
import time
from contextlib import suppress
from pathlib import Path

from backends.dotenv.rewrite import SIDECAR

_PAUSE = 0.02  # seconds
_MOST_LOOKS = 100
_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LONGEST_QUEUE = 3600.0  # seconds; each thread before us is bounded by its own time-outs


class LockTimeoutError(Exception):
    """Somebody else held the lock for all the time that there was."""


class _Queue:
    """The threads of this process that want one file: the kernel's lock is for processes only."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.depth = 0
        # Held for a moment: while the kernel's lock is taken, released or asked about.
        self.kernel = threading.Lock()
        self.fd = -1


_QUEUES: dict[str, _Queue] = {}  # one for each file and process, as flock has it


class FileLock:
    """An flock on a file beside `path`; the file is removed when nobody holds the lock.

    Threads of one process queue up for it, for an hour at most. The thread that holds it may take
    it again: a token may be kept in two variables of one file.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.with_name(f"{path.name}{SIDECAR}lock")
        self._queue = _QUEUES.setdefault(str(path), _Queue())

    def acquire(self, timeout: float) -> None:
        """Wait for the lock, at most `timeout` seconds for other processes.

        Raises `LockTimeoutError` and `OSError`.
        """
        if not self._queue.lock.acquire(timeout=_LONGEST_QUEUE):
            raise LockTimeoutError
        try:
            if not self._queue.depth:
                self._wait(timeout)
            self._queue.depth += 1
        except BaseException:
            self._queue.lock.release()
            raise

    def release(self) -> None:
        """Let the next one in; a lock file that cannot be removed is harmless."""
        self._queue.depth -= 1
        if not self._queue.depth:
            with self._queue.kernel:
                with suppress(OSError):
                    self._file.unlink()
                os.close(self._queue.fd)
                self._queue.fd = -1
        self._queue.lock.release()

    def held_elsewhere(self) -> bool:
        """Tell whether another process holds the lock now, without waiting for it or taking it.

        A lock file that another user left behind looks held, since only its owner can try it.
        """
        with self._queue.kernel:
            if self._queue.fd >= 0:
                return False
            for _ in range(_MOST_LOOKS):
                try:
                    held = self._look()
                except FileNotFoundError:
                    self._file.parent.stat()  # a missing folder is no answer
                    return False
                if held is not None:
                    return held
        return True  # it passes from one process to the next

    def _look(self) -> bool | None:
        """Return None where the file was replaced meanwhile: a lock on the old one says nothing."""
        try:
            fd = os.open(self._file, os.O_RDONLY | _FLAGS)
        except PermissionError:
            self._file.lstat()  # raises when it is the folder that may not be entered
            return True
        try:
            held = False
            try:
                # Shared: two processes that ask must not take each other for a holder. One that
                # wants the lock at this moment tries again.
                fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                held = True
            return held if os.path.samestat(os.fstat(fd), self._file.lstat()) else None
        finally:
            os.close(fd)

    def _wait(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not self._try():
            if time.monotonic() >= deadline:
                raise LockTimeoutError
            time.sleep(_PAUSE)

    def _try(self) -> bool:
        with self._queue.kernel:
            fd = self._open()
            if fd < 0:
                return False
            try:
                with suppress(BlockingIOError, FileNotFoundError):
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    # The last holder removed its file: a lock on that one keeps nobody out.
                    if os.path.samestat(os.fstat(fd), self._file.lstat()):
                        self._queue.fd, fd = fd, -1
                        return True
            finally:
                if fd >= 0:
                    os.close(fd)
            return False

    def _open(self) -> int:
        """Open the lock file; return -1 where that has to be tried again."""
        flags = os.O_RDWR | _FLAGS
        try:
            # Not O_CREAT alone: in folders like /tmp, Linux refuses it for another user's file.
            return os.open(self._file, flags)
        except PermissionError:
            if not self._file.exists():
                raise
            return -1  # another user's rotator is at work
        except FileNotFoundError:
            with suppress(FileExistsError):
                return os.open(self._file, flags | os.O_CREAT | os.O_EXCL, 0o600)
            return -1

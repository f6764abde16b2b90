"""A lock between the processes of one machine, which the kernel releases when its holder dies."""

import errno
import fcntl
import os
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rotator.clock import limit_wait

# What file systems say that have no locks.
NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)
_LOCK_PAUSE = 0.02  # seconds
_MOST_LOOKS = 100
_LOCK_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_QUEUE_PAUSE = 1.0  # seconds
_LONGEST_QUEUE = 3600.0  # seconds; each thread before us is bounded by its own time-outs


class LockTimeoutError(Exception):
    """Somebody else held the lock for all the time that there was."""


class ForeignLockError(Exception):
    """In the place of the lock file stands something that no rotator made."""


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
    """An flock on a file of its own, which is removed when nobody holds the lock.

    Threads of one process queue up for it, for an hour at most. The thread that holds it may take
    it again: a token may be kept in two variables of one file.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._queue = _QUEUES.setdefault(str(file), _Queue())

    @contextmanager
    def hold(self, timeout: float) -> Iterator[int]:
        """Wait for the lock, at most `timeout` seconds for other processes, and keep it.

        Yield its file descriptor: a child that inherits it keeps the lock, too. Raises
        `LockTimeoutError`, `ForeignLockError` and `OSError`.
        """
        self._line_up()
        try:
            if not self._queue.depth:
                self._wait(timeout)
            self._queue.depth += 1
            try:
                yield self._queue.fd
            finally:
                self._queue.depth -= 1
                if not self._queue.depth:
                    self._let_go()
        finally:
            self._queue.lock.release()

    def _line_up(self) -> None:
        deadline, left = time.monotonic() + _LONGEST_QUEUE, 0.0
        # In short waits, since the budget may become shorter.
        while not self._queue.lock.acquire(timeout=min(left, _QUEUE_PAUSE)):
            left = max(0.0, limit_wait(deadline - time.monotonic()))
            if not left:
                raise LockTimeoutError

    def _let_go(self) -> None:
        with self._queue.kernel:
            with suppress(OSError):  # a lock file that stays is harmless
                self._file.unlink()
            fd, self._queue.fd = self._queue.fd, -1
            close(fd)

    def is_held(self) -> bool:
        """Tell whether this process or another one holds the lock now."""
        return self._queue.fd >= 0 or self.held_elsewhere()

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
        self._refuse_foreign()
        try:
            fd = os.open(self._file, os.O_RDONLY | _LOCK_FLAGS)
        except PermissionError:
            self._file.lstat()  # raises when it is the folder that may not be entered
            return True
        try:
            held = False
            try:
                # Shared: two processes that ask must not take each other for a holder. One that
                # wants the lock at this moment tries again.
                _flock(fd, fcntl.LOCK_SH)
            except BlockingIOError:
                held = True
            return held if os.path.samestat(os.fstat(fd), self._file.lstat()) else None
        finally:
            close(fd)

    def _wait(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not self._try():
            if limit_wait(deadline - time.monotonic()) <= 0:
                raise LockTimeoutError
            time.sleep(_LOCK_PAUSE)

    def _try(self) -> bool:
        with self._queue.kernel:
            fd = self._open()
            if fd < 0:
                return False
            try:
                with suppress(BlockingIOError, FileNotFoundError):
                    _flock(fd, fcntl.LOCK_EX)
                    # The last holder removed its file: a lock on that one keeps nobody out.
                    if os.path.samestat(os.fstat(fd), self._file.lstat()):
                        self._queue.fd, fd = fd, -1
                        return True
            finally:
                if fd >= 0:
                    close(fd)
            return False

    def _open(self) -> int:
        """Open the lock file; return -1 where that has to be tried again."""
        flags = os.O_RDWR | _LOCK_FLAGS
        self._refuse_foreign()
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

    def _refuse_foreign(self) -> None:
        with suppress(OSError):  # whoever opens it is told
            if not stat.S_ISREG(self._file.lstat().st_mode):
                raise ForeignLockError


def _flock(fd: int, operation: int) -> None:
    try:
        fcntl.flock(fd, operation | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in NO_LOCKS:
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK)) from error
        raise


def close(fd: int) -> None:
    """Close a file that was synced or only read: an error then means nothing for its content."""
    with suppress(OSError):
        os.close(fd)

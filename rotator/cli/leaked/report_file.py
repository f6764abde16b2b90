"""The file of the report: each run adds a section, and replaces it as a whole while it goes on.

Earlier sections stay: one run may be killed, and what it did is in its own section only.
"""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from rotator.cli.leaked.markdown import TITLE
from rotator.errors import ConfigError, one_line
from rotator.files import try_lock

_LARGEST = 16 << 20  # bytes
_MODE = 0o600
_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe would wait for a writer


class ReportFile:
    """A file that one process writes: it holds the file's lock, which ends with the process.

    Raises `ConfigError` for a file that is no report of ours, or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._new = path.with_name(f".{path.name}.rotator-tmp")
        self._earlier = TITLE.encode()
        self._locked = -1
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise self._refuse(f"the folder {path.parent} cannot be written")
        try:
            self._locked = os.open(path, os.O_RDWR | _FLAGS)
            self._read_earlier()
        except FileNotFoundError:
            pass
        except OSError as error:
            is_link = error.errno == errno.ELOOP
            raise self._refuse("it is a symlink" if is_link else str(error.strerror)) from None

    def write(self, section: str) -> None:
        """Put the section below the earlier ones, in the place of what this process wrote there.

        Readers see one or the other, also after a crash. Raises `OSError`.
        """
        content = self._earlier + b"\n" + section.encode()
        with suppress(FileNotFoundError):
            self._new.unlink()  # what a killed process left
        number = os.open(self._new, os.O_RDWR | os.O_CREAT | os.O_EXCL | _FLAGS, _MODE)
        try:
            try_lock(number)  # which nobody else has opened yet
            written = 0
            while written < len(content):
                written += os.pwrite(number, content[written:], written)
            os.fsync(number)
            self._new.replace(self._path)
        except BaseException:
            os.close(number)
            with suppress(OSError):
                self._new.unlink()
            raise
        self.close()
        self._locked = number

    def close(self) -> None:
        """Let others write the file."""
        if self._locked >= 0:
            os.close(self._locked)
        self._locked = -1

    def _read_earlier(self) -> None:
        status = os.fstat(self._locked)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
            raise self._refuse("it is no report of rotator leaked")
        if status.st_uid != os.geteuid():
            raise self._refuse("it belongs to another user")
        # Another file is at its path where it was replaced just now.
        if not try_lock(self._locked) or not os.path.samestat(status, self._path.stat()):
            raise self._refuse("another rotator leaked is writing it")
        earlier = os.pread(self._locked, _LARGEST, 0)
        if earlier and not earlier.startswith(TITLE.encode()):
            raise self._refuse("it is no report of rotator leaked")
        self._earlier = earlier or self._earlier

    def _refuse(self, why: str) -> ConfigError:
        return ConfigError(
            f"--report {one_line(str(self._path))}: {why}: nothing was done; name another file"
        )

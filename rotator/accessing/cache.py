"""Access tokens that several runs share, as files in a private folder.

Their age is counted on the clock since the machine's start, which goes on during sleep and which
nobody can set; with the id of that start it means the same to all processes. By the wall clock a
token of before would look fresh again after the clock was set back.
"""

import hashlib
import json
import os
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # random(4)
_FORGOTTEN_AFTER = 86400.0  # seconds; by then a token is over, or was replaced


class Start(NamedTuple):
    """A start of the machine, and the seconds since then."""

    name: str
    now: Callable[[], float]

    @classmethod
    def latest(cls) -> "Start":
        """Return the one that this process lives in; raises `OSError` where the system has none."""
        return cls(_BOOT_ID.read_text().strip(), lambda: time.clock_gettime(time.CLOCK_BOOTTIME))


class Cache:
    """Tokens in the folder behind a descriptor, which nobody else can read."""

    def __init__(self, folder: int, start: Start) -> None:
        self._folder = folder
        self.start = start

    def get(self, key: str) -> str | None:
        """Return the fresh token of that key; None where there is none, or nothing readable."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            with os.fdopen(self._open(_name(key), os.O_RDONLY), encoding="utf-8") as file:
                entry = json.load(file)
            is_fresh = entry["asked"] <= self.start.now() < entry["fresh_until"]
            if is_fresh and entry["start"] == self.start.name:
                return str(entry["token"])
        return None

    def put(self, key: str, token: str, *, asked: float, fresh_until: float) -> None:
        """Keep a token, in one step for those who read; times are of `Start.now`.

        Raises `OSError`. What others left behind a day ago is removed.
        """
        self._sweep()
        entry = {
            "start": self.start.name,
            "asked": asked,
            "fresh_until": fresh_until,
            "token": token,
        }
        new = f".{secrets.token_hex(8)}"
        try:
            fd = self._open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                json.dump(entry, file)
            os.replace(new, _name(key), src_dir_fd=self._folder, dst_dir_fd=self._folder)
        except OSError:
            with suppress(OSError):
                os.unlink(new, dir_fd=self._folder)
            raise

    def _open(self, name: str, flags: int) -> int:
        return os.open(name, flags | os.O_NOFOLLOW, 0o600, dir_fd=self._folder)

    def _sweep(self) -> None:
        for name in os.listdir(self._folder):  # noqa: PTH208 - a descriptor has no path
            with suppress(OSError):
                written = os.stat(name, dir_fd=self._folder, follow_symlinks=False).st_mtime
                if time.time() - written > _FORGOTTEN_AFTER:
                    os.unlink(name, dir_fd=self._folder)


def _name(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()

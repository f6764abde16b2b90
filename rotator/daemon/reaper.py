"""What process 1 of a container owes: to reap the processes that others have left behind.

Hooks may leave processes in the background. When such a one ends, it stays in the container's table
of processes until its parent, which is process 1 by then, asks for its status.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_PATIENCE = 60.0  # seconds; whoever waits for a process of its own asks for its end before


class _Zombie(NamedTuple):
    pid: int
    session: int


class ZombieReaper:
    """Reaps the zombies that process 1 gets, and does nothing in any other process.

    A program that we have started ourselves is awaited by the thread that did, which must get its
    status: so one that may be such a program is left alone at first. `monotonic` counts seconds.
    """

    def __init__(self, monotonic: Callable[[], float], *, is_first: bool | None = None) -> None:
        self._monotonic = monotonic
        self._is_first = os.getpid() == 1 if is_first is None else is_first
        self._seen: dict[int, float] = {}

    def reap(self) -> None:
        if not self._is_first:
            return
        now, own = self._monotonic(), os.getsid(0)
        seen = self._seen
        self._seen = {}
        for zombie in _find_zombies():
            # Ours are in our session, or lead one of their own.
            may_be_ours = zombie.session in (own, zombie.pid)
            since = seen.get(zombie.pid, now)
            if may_be_ours and now - since < _PATIENCE:
                self._seen[zombie.pid] = since
                continue
            with suppress(ChildProcessError):
                os.waitpid(zombie.pid, os.WNOHANG)


def _find_zombies() -> Iterator[_Zombie]:
    """Yield our children that have ended; see proc_pid_stat(5)."""
    own = os.getpid()
    for number in _numbers_in("/proc"):
        with suppress(OSError, ValueError, IndexError):
            # The name of the program, in brackets, may hold anything.
            fields = Path(f"/proc/{number}/stat").read_bytes().rpartition(b")")[2].split()
            if fields[0] == b"Z" and int(fields[1]) == own:
                yield _Zombie(number, int(fields[3]))


def _numbers_in(folder: str) -> list[int]:
    with suppress(OSError):  # a container without /proc
        return [int(name) for name in os.listdir(folder) if name.isdecimal()]  # noqa: PTH208 - numbers, not paths
    return []

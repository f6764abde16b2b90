"""A rotator that numbers the moments at which it changes the world, and dies at one of them.

Each moment becomes a line in a log, before the change is made. Moment -1 lets it live. What counts
are changes below a folder, processes, and requests; the rotator itself is the real one.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.crash.steps import current_step
from tests.crash.watch import Watch

WHOLE_LIFE = -1


def nothing() -> None:
    """Do nothing."""


class Moments:
    """Counts, tells, and ends the process in the middle of the one that was chosen."""

    def __init__(self, log: int, chosen: int) -> None:
        self._log = log
        self._left = chosen

    def reach(self, change: str, last_act: Callable[[], object] = nothing) -> None:
        """Come to the moment before a change; `last_act` is done only by who dies there."""
        os.write(self._log, f"{current_step()}\t{change}\n".encode())
        if self._left == 0:
            last_act()
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1


def wrap_what_is_not_audited(watch: Watch, moments: Moments) -> None:
    """Python announces most changes by itself; not the writing, the syncing and the end of a child.

    These must be wrapped before anybody else imports them by name.
    """
    pwrite, fsync, init, poll = (
        os.pwrite,
        os.fsync,
        subprocess.Popen.__init__,
        subprocess.Popen.poll,
    )

    def watched_pwrite(fd: int, content: bytes, at: int) -> int:
        if name := watch.name(fd):
            moments.reach(f"write {name}")
            half = content[: len(content) // 2]
            moments.reach(f"write half of {name}", lambda: pwrite(fd, half, at))
        return pwrite(fd, content, at)

    def watched_fsync(fd: int) -> None:
        if name := watch.name(fd):
            moments.reach(f"sync {name}")
        fsync(fd)

    def watched_init(self: Any, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - passed on
        init(self, *arguments, **options)
        moments.reach("anything is heard of the process")

    def watched_poll(self: Any) -> int | None:  # noqa: ANN401 - a Popen of any kind
        status = poll(self)
        if status is not None:
            moments.reach("the end of the process is noted")
        return status

    changes: list[tuple[object, str, object]] = [
        (os, "pwrite", watched_pwrite),
        (os, "fsync", watched_fsync),
        (subprocess.Popen, "__init__", watched_init),
        (subprocess.Popen, "poll", watched_poll),
    ]
    for owner, name, function in changes:
        setattr(owner, name, function)


def begin(moments: Moments) -> None:
    moments.reach("anything is done")


def end(moments: Moments) -> None:
    moments.reach("the exit, when all is done")


def live(folder: Path, log: Path, chosen: int, main: Callable[[], int]) -> int:
    """Run the command in this process, as far as the chosen moment."""
    fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    moments = Moments(fd, chosen)
    watch = Watch(folder, moments.reach)
    wrap_what_is_not_audited(watch, moments)
    sys.addaudithook(watch)
    begin(moments)
    status = main()
    end(moments)
    return status

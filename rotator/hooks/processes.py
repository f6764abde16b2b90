"""A process that cannot hang us: its group is ended in time, and of its output the end is kept."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from datetime import timedelta
from typing import IO, TYPE_CHECKING, NamedTuple, cast

if TYPE_CHECKING:
    import subprocess

GRACE = 5.0  # seconds between SIGTERM and SIGKILL, and from there to the end of our patience
KEPT = 8 * 1024
_CHUNK = 64 * 1024
_PAUSE = 0.02


class ProcessResult(NamedTuple):
    """How a process ended: `status` is below zero for a signal, and None when its time was up.

    `output` is the end of what it wrote to stdout and stderr; `cut` tells that there was more.
    """

    status: int | None
    output: bytes
    cut: bool


def run_process(
    arguments: Sequence[str], environ: Mapping[str, str], timeout: timedelta, given: bytes = b""
) -> ProcessResult:
    """Run a program in a session of its own, without a shell; `given` is its stdin.

    What it leaves in the background is neither waited for nor ended, unless time is up: then its
    whole group gets SIGTERM and, 5 seconds later, SIGKILL. Raises `OSError` when it cannot start.
    """
    import subprocess  # noqa: PLC0415 - a run that starts nothing needs none of it

    process = subprocess.Popen(  # noqa: S603 - the list is the owner's, and no shell reads it
        arguments,
        env=dict(environ),
        stdin=subprocess.PIPE if given else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    if process.stdin:
        threading.Thread(target=_feed, args=(process.stdin, given), daemon=True).start()
    with closing(_Output(cast("IO[bytes]", process.stdout))) as output:
        status = _ended(process, output, timeout.total_seconds())
        if status is None:
            _end_group(process, output)
        output.take()
        return ProcessResult(status, bytes(output.kept), output.cut)


class _Output:
    """The read end of a pipe. Its end is not waited for: anybody may hold the other one open."""

    def __init__(self, pipe: IO[bytes]) -> None:
        import selectors  # noqa: PLC0415 - (the same)

        self._pipe = pipe
        self.kept = bytearray()
        self.cut = False
        self._at_end = False
        os.set_blocking(pipe.fileno(), False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(pipe, selectors.EVENT_READ)

    def close(self) -> None:
        self._selector.close()
        self._pipe.close()

    def wait(self) -> None:
        """Wait for output, but only a moment."""
        if self._at_end:
            time.sleep(_PAUSE)
        else:
            self._selector.select(_PAUSE)
            self.take()

    def take(self) -> None:
        """Take what is there, at most one pipe full: a writer may never stop."""
        with suppress(BlockingIOError):
            chunk = os.read(self._pipe.fileno(), _CHUNK)
            self._at_end = not chunk
            self.cut = self.cut or len(self.kept) + len(chunk) > KEPT
            self.kept = (self.kept + chunk)[-KEPT:]  # why it fails is told last


def _ended(process: subprocess.Popen[bytes], output: _Output, seconds: float) -> int | None:
    deadline = time.monotonic() + seconds
    while (status := process.poll()) is None and time.monotonic() < deadline:
        output.wait()
    return status


def _end_group(process: subprocess.Popen[bytes], output: _Output) -> None:
    """End all of it, and reap the process itself; its children are reaped by init."""
    _signal(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    while process.poll() is None or _signal(process.pid, 0):
        if time.monotonic() > deadline:
            break
        output.wait()
    else:
        return  # nobody is left; their number may soon be that of another group
    _signal(process.pid, signal.SIGKILL)
    # One that changed its user cannot be ended by us, and one that waits for a dead disk by nobody.
    _ended(process, output, GRACE)


def _signal(group: int, number: int) -> bool:
    """Send it to those of the group that we may send it to; tell whether there was anybody."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _feed(pipe: IO[bytes], given: bytes) -> None:
    with suppress(OSError), pipe:  # it may have ended without reading
        pipe.write(given)

"""Run a process within a time; its whole group is ended after that, and its output is capped."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from datetime import timedelta
from typing import IO, NamedTuple, cast

GRACE = 5.0  # seconds from SIGTERM to SIGKILL, and from there until we stop waiting
KEPT = 8 * 1024
_CHUNK = 64 * 1024
_PAUSE = 0.02


class ProcessResult(NamedTuple):
    """How a process ended: `status` is below zero for a signal, and None when its time was up.

    `output` is the end of what it wrote to stdout and stderr; `cut` tells that it wrote more.
    """

    status: int | None
    output: bytes
    cut: bool


def run_process(
    arguments: Sequence[str], environ: Mapping[str, str], timeout: timedelta, given: bytes = b""
) -> ProcessResult:
    """Run a program in a session of its own, without a shell; `given` is its stdin.

    Background processes that it leaves are neither awaited nor ended. When `timeout` is over its
    whole group gets SIGTERM and, 5 seconds later, SIGKILL. Raises `OSError` when it cannot start.
    """
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
    """The read end of a pipe, read only until the process ends: others may keep the pipe open."""

    def __init__(self, pipe: IO[bytes]) -> None:
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
        if self._at_end:
            time.sleep(_PAUSE)
        else:
            self._selector.select(_PAUSE)
            self.take()

    def take(self) -> None:
        """Read what is there, at most one pipe full, as a writer may never stop."""
        with suppress(BlockingIOError):
            chunk = os.read(self._pipe.fileno(), _CHUNK)
            self._at_end = not chunk
            self.cut = self.cut or len(self.kept) + len(chunk) > KEPT
            self.kept = (self.kept + chunk)[-KEPT:]  # programs say last why they fail


def _ended(process: subprocess.Popen[bytes], output: _Output, seconds: float) -> int | None:
    deadline = time.monotonic() + seconds
    while (status := process.poll()) is None and time.monotonic() < deadline:
        output.wait()
    return status


def _end_group(process: subprocess.Popen[bytes], output: _Output) -> None:
    """End the process group, and reap the process; init reaps its children."""
    _signal(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    while process.poll() is None or _signal(process.pid, 0):
        if time.monotonic() > deadline:
            break
        output.wait()
    else:
        return  # the group is empty; its number may soon be that of another group
    _signal(process.pid, signal.SIGKILL)
    # A process of another user, or one that waits for a dead disk, does not end.
    _ended(process, output, GRACE)


def _signal(group: int, number: int) -> bool:
    """Send a signal to the group; tell whether it has any member."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _feed(pipe: IO[bytes], given: bytes) -> None:
    with suppress(OSError), pipe:  # the process may end without reading
        pipe.write(given)

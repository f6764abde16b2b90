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
from pathlib import Path
from typing import IO, NamedTuple, cast

GRACE = 5.0  # seconds from SIGTERM to SIGKILL, and from there until we stop waiting
KEPT = 8 * 1024
_CHUNK = 1 << 20  # bytes; no pipe holds more
_PAUSE = 0.02


class ProcessResult(NamedTuple):
    """How a process ended: `status` is below zero for a signal, and None when it was ended.

    `output` is the end of what it wrote; `cut` tells that it wrote more.
    """

    status: int | None
    output: bytes
    cut: bool


def run_process(  # noqa: PLR0913 - what a process may have, by name
    arguments: Sequence[str],
    environ: Mapping[str, str],
    timeout: timedelta,
    given: bytes = b"",
    *,
    folder: Path | None = None,
    kept_open: Sequence[int] = (),
    largest_answer: int | None = None,
) -> ProcessResult:
    """Run a program in a session of its own, without a shell; `given` is its stdin.

    It inherits the file descriptors `kept_open`. Background processes that it leaves are neither
    awaited nor ended. When `timeout` is over its whole group gets SIGTERM and, 5 seconds later,
    SIGKILL. The output is what it tells people, the end of its stdout and stderr.

    With a `largest_answer` the output is what it answers us, its stdout alone. A program that
    answers more bytes is of no use, as is one that is late: its group gets SIGKILL at once.

    Raises `OSError` or `ValueError` when it cannot start.
    """
    is_answer = largest_answer is not None
    process = subprocess.Popen(  # noqa: S603 - the list is the owner's, and no shell reads it
        arguments,
        env=dict(environ),
        cwd=folder,
        stdin=subprocess.PIPE if given else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if is_answer else subprocess.STDOUT,
        start_new_session=True,
        pass_fds=kept_open,
    )
    if process.stdin:
        threading.Thread(target=_feed, args=(process.stdin, given), daemon=True).start()
    with closing(_Output(cast("IO[bytes]", process.stdout), largest_answer or KEPT)) as output:
        status = _ended(process, output, timeout.total_seconds(), is_answer=is_answer)
        output.take()
        if status is None or (is_answer and output.cut):
            _end_group(process, output, 0.0 if is_answer else GRACE)
            output.take()
        return ProcessResult(status, bytes(output.kept), output.cut)


class _Output:
    """The read end of a pipe, read only until the process ends: others may keep the pipe open."""

    def __init__(self, pipe: IO[bytes], most: int) -> None:
        self._pipe = pipe
        self._most = most
        self.kept = bytearray()
        self.cut = False
        self.is_at_end = False
        os.set_blocking(pipe.fileno(), False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(pipe, selectors.EVENT_READ)

    def close(self) -> None:
        self._selector.close()
        self._pipe.close()

    def wait(self, seconds: float = _PAUSE) -> None:
        if self.is_at_end:
            time.sleep(seconds)
        else:
            self._selector.select(seconds)
            self.take()

    def take(self) -> None:
        """Read what is there, at most one pipe full, as a writer may never stop."""
        with suppress(BlockingIOError):
            chunk = os.read(self._pipe.fileno(), _CHUNK)
            self.is_at_end = not chunk
            self.cut = self.cut or len(self.kept) + len(chunk) > self._most
            self.kept = (self.kept + chunk)[-self._most :]  # programs say last why they fail


def _ended(
    process: subprocess.Popen[bytes], output: _Output, seconds: float, *, is_answer: bool = False
) -> int | None:
    """Return the status of a process that ends in time, and None of an answer that is too long."""
    deadline = time.monotonic() + seconds
    while (status := process.poll()) is None and (left := deadline - time.monotonic()) > 0:
        if is_answer and output.cut:
            break
        if output.is_at_end:  # most processes end with their output
            with suppress(subprocess.TimeoutExpired):
                process.wait(left)
        else:
            output.wait(min(left, _PAUSE))
    return status


def _end_group(process: subprocess.Popen[bytes], output: _Output, grace: float) -> None:
    """End the process group, and reap the process; init reaps its children."""
    if grace:
        _signal(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + grace
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

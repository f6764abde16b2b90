"""Signals as something to ask for, so that none can interrupt a rotation in the middle."""

import os
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STOP = (signal.SIGTERM, signal.SIGINT)
RELOAD = (signal.SIGHUP,)


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Turn SIGTERM and SIGINT into a question that a run asks between two rotations."""
    asked: list[int] = []
    with _handled(STOP, asked.append):
        yield lambda: bool(asked)


@contextmanager
def await_signals() -> Iterator[Callable[[float], int | None]]:
    """Yield a function that waits so many seconds for the next SIGTERM, SIGINT or SIGHUP.

    It returns None when there was none. Each signal writes to a pipe at once, so that one which
    arrives in the instant before the wait is not noticed a minute late.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    def next_signal(timeout: float) -> int | None:
        readable, _, _ = select.select([reader], [], [], timeout)
        return os.read(reader, 1)[0] if readable else None

    with _handled((*STOP, *RELOAD), lambda _number: None):
        before = signal.set_wakeup_fd(writer)
        try:
            yield next_signal
        finally:
            signal.set_wakeup_fd(before)
            os.close(reader)
            os.close(writer)


@contextmanager
def _handled(numbers: tuple[signal.Signals, ...], take: Callable[[int], None]) -> Iterator[None]:
    def handle(number: int, _frame: FrameType | None) -> None:
        take(number)

    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


FORWARDED = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
    signal.SIGCONT,
)
WORD = 0  # no signal has this number
_MOST = 4096

Wait = Callable[[float | None], bytes]
"""Waits so many seconds, or for ever, and returns what came: signals' numbers, and `WORD`."""
Ring = Callable[[], None]
"""Lets the one who waits see a `WORD`; for other threads."""


def hold_back() -> None:
    """Let SIGTERM and SIGINT wait until there is a `mailbox`.

    The kernel throws away what comes to process 1 of a container before there is a handler for it,
    unless it is blocked: a stop would be lost while we start.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP)


@contextmanager
def mailbox() -> Iterator[tuple[Wait, Ring]]:
    """Yield the two ends; meanwhile no signal of `FORWARDED` ends this process.

    That holds for process 1 of a container as well, to which a signal without a handler never
    comes. What was ignored from the start, as under nohup, stays so: for the child, too.
    """
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)

    def wait(timeout: float | None) -> bytes:
        readable, _, _ = select.select([reader], [], [], timeout)
        return os.read(reader, _MOST) if readable else b""

    def ring() -> None:
        os.write(writer, bytes([WORD]))

    numbers = [n for n in FORWARDED if signal.getsignal(n) is not signal.SIG_IGN]
    before = {n: signal.signal(n, _noted) for n in (*numbers, signal.SIGCHLD)}
    last = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP)  # see `hold_back`
    try:
        yield wait, ring
    finally:
        signal.set_wakeup_fd(last)
        for number, handler in before.items():
            signal.signal(number, handler)
        # The pipe is left to the end of the process: a thread may still ring.


def _noted(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: the number stands in the pipe already."""

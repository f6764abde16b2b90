"""Signals that wait until somebody asks for them, so that none interrupts a rotation."""

import logging
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STOP = (signal.SIGTERM, signal.SIGINT)
RELOAD = (signal.SIGHUP,)
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
WAKE_UP = 0  # no signal has this number
_MOST = 4096
_log = logging.getLogger(__name__)


@contextmanager
def _handle(numbers: tuple[int, ...], take: Callable[[int], object]) -> Iterator[None]:
    def handler(number: int, _frame: FrameType | None) -> None:
        take(number)

    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def end_at_second_interrupt() -> None:
    """Let the first SIGINT raise `KeyboardInterrupt`, and the next end the process at once.

    A second `KeyboardInterrupt` while Python waits for threads at its exit would be a traceback.
    So would one in a finalizer, where Python drops it: that ends the process at once as well.
    """
    tell = sys.unraisablehook

    def interrupt(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise KeyboardInterrupt

    def end_or_tell(dropped: "sys.UnraisableHookArgs") -> None:
        if isinstance(dropped.exc_value, KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        tell(dropped)

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not ignored, as by nohup
        signal.signal(signal.SIGINT, interrupt)
        sys.unraisablehook = end_or_tell


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Yield a function that tells whether SIGTERM or SIGINT came; the first is logged, no more."""
    received: list[int] = []

    def take(number: int) -> None:
        received.append(number)
        if len(received) == 1:
            _log.warning("stopping: a rotation in hand is finished first")

    with _handle(STOP, take):
        yield lambda: bool(received)


class SelfPipe:
    """A pipe into which each signal writes its number at once, so that a wait misses none.

    It is not closed, as another thread may wake us up until the process ends. See
    https://cr.yp.to/docs/selfpipe.html.
    """

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    @contextmanager
    def receive(self, *numbers: int) -> Iterator[None]:
        """Let these signals do nothing but write their numbers."""
        before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        try:
            with _handle(numbers, lambda _number: None):
                yield
        finally:
            signal.set_wakeup_fd(before)

    def wait(self, timeout: float | None, most: int = _MOST) -> bytes:
        """Wait up to `timeout` seconds (None: for ever); return the numbers that came."""
        readable, _, _ = select.select([self._reader], [], [], timeout)
        return os.read(self._reader, most) if readable else b""

    def wake_up(self) -> None:
        """End a wait, which returns a `WAKE_UP`; for other threads."""
        os.write(self._writer, bytes([WAKE_UP]))


def block_stop() -> None:
    """Block SIGTERM and SIGINT until `forwarded_signals` receives them.

    As process 1 of a container we would lose them while we start: there the kernel drops a signal
    that is neither blocked nor handled.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP)


@contextmanager
def forwarded_signals() -> Iterator[SelfPipe]:
    """Yield a pipe that receives SIGCHLD and the signals of `FORWARDED`.

    Those that were ignored from the start, as under nohup, stay ignored, also by the child.
    """
    pipe = SelfPipe()
    numbers = [n for n in FORWARDED if signal.getsignal(n) is not signal.SIG_IGN]
    with pipe.receive(*numbers, signal.SIGCHLD):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP)
        yield pipe

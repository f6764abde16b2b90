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
def arriving_signals() -> Iterator[Callable[[float], int | None]]:
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

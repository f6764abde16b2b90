"""Signals as something to ask for, so that none can interrupt a rotation in the middle."""

import queue
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

STOP = (signal.SIGTERM, signal.SIGINT)
RELOAD = (signal.SIGHUP,)


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Turn SIGTERM and SIGINT into a question that a run asks between two rotations."""
    asked: list[int] = []
    with _handled(STOP, asked.append):
        yield lambda: bool(asked)


@contextmanager
def signal_queue() -> Iterator["queue.SimpleQueue[int]"]:
    """Put each SIGTERM, SIGINT and SIGHUP into a queue."""
    arrived: queue.SimpleQueue[int] = queue.SimpleQueue()
    with _handled((*STOP, *RELOAD), arrived.put):
        yield arrived


@contextmanager
def _handled(numbers: tuple[signal.Signals, ...], take: Callable[[int], Any]) -> Iterator[None]:
    def handle(number: int, _frame: FrameType | None) -> None:
        take(number)

    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

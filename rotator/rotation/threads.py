"""Threads for many small pieces of work side by side, most of which wait."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import copy_context
from threading import Thread
from typing import Generic, TypeVar

# Half of a rotation is waiting for the API and the disk; more threads than this mostly wait for
# each other.
WORKERS = 8
# Work that does not wait, such as reading files, takes one thread half the time that it takes
# several, as only one of them runs at a time and each call of the system passes the turn on.
_LOOK = 0.020  # seconds
_BUSY = 0.5  # of a processor
# Fewer look at as many files within one look. They may also be part of work that is itself done in
# threads, which keep the process busy while these wait.
_MANY = 64

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def map_in_threads(
    act: Callable[[_Item], _Result], items: Sequence[_Item], workers: int = WORKERS
) -> list[_Result]:
    """Apply `act` to each item; return the results in their order.

    Of many items one thread begins; the others join it when it waits. They have the time budget of
    this thread. What `act` raises ends the work. Where the machine starts no more threads, those
    that run do all, or this one.
    """
    if len(items) <= 1:
        return [act(item) for item in items]
    # An executor keeps a future and a context for each item, which takes longer than a look.
    work = _Work(act, items)
    threads = [
        Thread(target=copy_context().run, args=(work.go_on,), name="rotation")
        for _ in range(min(workers, len(items)))
    ]
    started: list[Thread] = []
    try:
        with suppress(RuntimeError):
            for thread in threads:
                thread.start()
                started.append(thread)
                if len(started) == 1 and len(items) >= _MANY and not _is_waiting(thread):
                    break
        if not started:
            work.go_on()
        for thread in started:
            thread.join()
    except BaseException:  # of a signal: what is in hand is finished, and nothing else is begun
        work.waiting.clear()
        for thread in started:
            thread.join()
        raise
    if work.errors:
        raise work.errors[0]
    return [work.results[number] for number in range(len(items))]


def _is_waiting(thread: Thread) -> bool:
    """Return True once the process is idle while the thread works, or False when that is done."""
    while thread.is_alive():
        began, used = time.monotonic(), time.process_time()
        thread.join(_LOOK)
        if time.process_time() - used < _BUSY * (time.monotonic() - began):
            break
    return thread.is_alive()


class _Work(Generic[_Item, _Result]):
    """What the threads share: the items that wait, and what came of the others, by number."""

    def __init__(self, act: Callable[[_Item], _Result], items: Sequence[_Item]) -> None:
        self.waiting = deque(enumerate(items))
        self.results: dict[int, _Result] = {}
        self.errors: list[BaseException] = []
        self._act = act

    def go_on(self) -> None:
        """Take one item after the other, until there are none."""
        with suppress(IndexError):  # another thread took the last one
            while self.waiting:
                self._take(*self.waiting.popleft())

    def _take(self, number: int, item: _Item) -> None:
        try:
            self.results[number] = self._act(item)
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits
            self.waiting.clear()
            self.errors.append(error)

"""What one process asks of one server: a few exchanges at the same time, and none in a pause.

A server that has too much to do says so to one exchange (429 or 503 with `Retry-After`), and means
everybody. So all exchanges with it share a `Throttle`.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition

from rotator.clock import limit_wait

# By default. The API's own processes are few: one by the reference, four in production.
API_CONNECTIONS = 4
STORE_CONNECTIONS = 8
_LONGEST_WAIT = 5.0  # seconds, after which it is looked again: the time budget may become shorter


class Throttle:
    """Lets `most` exchanges go on at the same time; shared by all threads.

    `monotonic` counts seconds, and `sleep` takes them.
    """

    def __init__(
        self,
        most: int,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.most = most
        self._monotonic = monotonic
        self._sleep = sleep
        self._changed = Condition()
        self._count = 0
        self._ends_at = float("-inf")  # of the pause

    @contextmanager
    def exchange(self) -> Iterator[None]:
        """Enclose an exchange; wait for its turn, and for the end of a pause.

        Raises `TimeoutError` when the time budget of this thread ends first.
        """
        self.begin()
        try:
            yield
        finally:
            self.end()

    def begin(self) -> None:
        """Wait for the turn of an exchange; `end` must follow. Raises `TimeoutError`."""
        with self._changed:
            while self._count >= self.most:
                if limit_wait(1.0) <= 0:
                    raise TimeoutError("there was no turn in time")
                self._changed.wait(limit_wait(_LONGEST_WAIT))
            self._count += 1
        try:
            self._wait_for_end_of_pause()
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """Let the next exchange begin."""
        with self._changed:
            self._count -= 1
            self._changed.notify()

    def pause(self, seconds: float) -> None:
        """Let no exchange begin for so long."""
        self._ends_at = max(self._ends_at, self._monotonic() + seconds)

    def _wait_for_end_of_pause(self) -> None:
        while (left := self._ends_at - self._monotonic()) > 0:
            if limit_wait(left) <= 0:
                raise TimeoutError("the server asked for a pause that is too long")
            self._sleep(limit_wait(min(left, _LONGEST_WAIT)))

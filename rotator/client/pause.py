"""Pauses that grow, so that many bots in trouble do not become a storm."""

from collections.abc import Callable

Jitter = Callable[[], float]


class Pause:
    """A pause after each failure, twice as long as the one before, from `first` to `longest` (s).

    `jitter` returns a number from 0 to 1: a pause is cut by up to a half, so that bots which failed
    together do not come back together. The first `free` failures have none. `until` is the end of
    the last pause, on the clock of whoever calls `begin`.
    """

    def __init__(self, first: float, longest: float, jitter: Jitter, *, free: int = 0) -> None:
        self._first = first
        self._longest = longest
        self._jitter = jitter
        self._free = free
        self._next = first
        self._free_left = free
        self.until = float("-inf")

    def begin(self, now: float) -> float:
        """Count a failure, and return the length of the pause that begins now."""
        length = 0.0
        if self._free_left:
            self._free_left -= 1
        else:
            length = self._next * (1 - self._jitter() / 2)
            self._next = min(self._longest, 2 * self._next)
        self.until = now + length
        return length

    def over(self) -> None:
        """Forget the failures: the next pause is a first one."""
        self._next = self._first
        self._free_left = self._free
        self.until = float("-inf")

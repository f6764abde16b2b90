"""Processes that take turns at every operation, and may die at any."""

import threading
from collections.abc import Callable, Iterator, Sequence

MOST_WAITS = 20_000
Meanwhile = tuple[int, Callable[[], None]]


class KilledError(BaseException):
    """The process is gone: no `except` of the program under test may stop this."""


class Life:
    """One process; moments before and after its operations are counted in each of its runs."""

    def __init__(self) -> None:
        self.begin(None, None)
        self.is_over = False
        self.pass_on: Callable[[], None] | None = None
        self.take_turn: Callable[[], None] | None = None

    def begin(self, dies_at: int | None, meanwhile: Meanwhile | None) -> None:
        self._moments = 0
        self._dies_at = dies_at
        self._meanwhile = meanwhile

    def moment(self) -> None:
        """Let the others have their turn, or die; who is dead stays so."""
        if self.take_turn and not self.is_over:
            self.take_turn()
        self._moments += 1
        if self._meanwhile and self._moments == self._meanwhile[0] and not self.is_over:
            self._meanwhile[1]()
        self.is_over = self.is_over or self._moments == self._dies_at
        if self.is_over:
            raise KilledError

    def wait(self) -> None:
        """Stand still until the others have got on."""
        if self.pass_on and not self.is_over:
            self.pass_on()


class Turns:
    """Runs processes in threads, one at a time, for as many moments as each of `lengths` says."""

    def __init__(self, lengths: Sequence[int]) -> None:
        self._lengths: Iterator[int] = iter(lengths)
        self._left = next(self._lengths, MOST_WAITS)
        self._changed = threading.Condition()
        self._running: list[Life] = []
        self._waits = 0

    def run(self, *tasks: tuple[Life, Callable[[], None]]) -> None:
        """Return when all are done; raise the first failure."""
        if len(tasks) == 1:
            tasks[0][1]()
            return
        failures: list[BaseException] = []
        self._running = [life for life, _ in tasks]
        for life, _ in tasks:
            life.take_turn = lambda life=life: self._take(life)
            life.pass_on = lambda life=life: self._pass_on(life)
        threads = [
            threading.Thread(target=self._live, args=(life, act, failures), daemon=True)
            for life, act in tasks
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for life, _ in tasks:
            life.take_turn = life.pass_on = None
        if failures:
            raise failures[0]

    def _live(self, life: Life, act: Callable[[], None], failures: list[BaseException]) -> None:
        try:
            self._await(life)
            act()
        except BaseException as failure:  # noqa: BLE001 - it is raised in the main thread
            failures.append(failure)
        finally:
            with self._changed:
                self._running.remove(life)
                self._changed.notify_all()

    def _take(self, life: Life) -> None:
        self._left -= 1
        if self._left <= 0:
            self._left = next(self._lengths, MOST_WAITS)
            self._pass_on(life)

    def _pass_on(self, life: Life) -> None:
        self._waits += 1
        if self._waits > MOST_WAITS:
            raise AssertionError("all wait for each other")
        with self._changed:
            self._running.remove(life)
            self._running.append(life)
            self._changed.notify_all()
        self._await(life)

    def _await(self, life: Life) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._running[0] is life)

"""The thread that looks at the stores: a slow one must not keep a signal from the child."""

import threading
from collections.abc import Callable
from typing import NamedTuple

from rotator.clock import Clock
from rotator.exec.state_machine import Secrets
from rotator.executing.files import FileEvents
from rotator.executing.watched import Watched
from rotator.schedule import Draw

SPREAD = 0.2  # of the pause between two looks, so that many bots do not come at once


class Rhythm(NamedTuple):
    """`pause` is in seconds; `draw` makes it longer or shorter by a fifth."""

    pause: float
    draw: Draw

    def next(self) -> float:
        """Return the seconds until the next look."""
        return self.pause * self.draw(1 - SPREAD, 1 + SPREAD)


class Looking:
    """Looks when it is time, and at once when a file has changed.

    After each look `result` holds what was found, or the error, and `ring` is called. `busy` is
    held during a look.
    """

    def __init__(
        self,
        tokens: dict[str, Watched],
        events: FileEvents,
        clock: Clock,
        rhythm: Rhythm,
        ring: Callable[[], None],
    ) -> None:
        self._tokens = tokens
        self._events = events
        self._clock = clock
        self._rhythm = rhythm
        self._ring = ring
        self.busy = threading.Lock()
        self.result: Secrets | Exception | None = None

    def start(self) -> None:
        """Look at once, and again and again until the process ends."""
        threading.Thread(target=self._run, name="looking", daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                with self.busy:
                    self.result = self._look()
            except Exception as error:  # noqa: BLE001 - the main thread raises it again
                self.result = error
            self._ring()
            self._events.wait(self._rhythm.next())

    def _look(self) -> Secrets:
        self._events.follow()  # before the look, so that what changes after it is noticed
        now = self._clock()
        return {name: token.look(now) for name, token in self._tokens.items()}

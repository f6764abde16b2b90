"""How the daemon itself is, as its main thread tells and its probes ask."""

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

from rotator.config.settings import TokenSettings

# The main thread beats once a minute; only one that hangs misses five in a row.
LONGEST_SILENCE = 300.0  # seconds


class Phase(StrEnum):
    """What the daemon is about."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"


class Probe(NamedTuple):
    """The answer to a probe, and why."""

    good: bool
    line: str


class Health:
    """Written by the daemon's main thread, read by those of the page.

    `trouble` is why the settings could not be read again, if so; `tokens` are those in force.
    `monotonic` is in seconds.
    """

    def __init__(self, monotonic: Callable[[], float], scheduler_lives: Callable[[], bool]) -> None:
        self.phase = Phase.STARTING
        self.trouble: str | None = None
        self.tokens: tuple[TokenSettings, ...] = ()
        self._monotonic = monotonic
        self._scheduler_lives = scheduler_lives
        self._beaten = monotonic()

    def beat(self) -> None:
        """Show that the main thread still goes round."""
        self._beaten = self._monotonic()

    def health(self) -> Probe:
        """Tell whether anything is broken that a restart mends.

        That is the scheduler's thread, dead, or the main one, hanging. A store or an API that is
        away is nothing of the kind: a restart would end rotations elsewhere and mend nothing. Nor
        is a stop, which waits for the rotation in hand.
        """
        if self.phase is Phase.RUNNING and not self._scheduler_lives():
            return Probe(good=False, line="the scheduler has ended")
        silence = self._monotonic() - self._beaten
        if self.phase is not Phase.STOPPING and silence > LONGEST_SILENCE:
            return Probe(good=False, line=f"the main thread hangs since {silence:.0f} seconds")
        return Probe(good=True, line="ok")

    def readiness(self) -> Probe:
        """Tell whether the tokens are looked after.

        With settings that could not be read again they are: the old ones are in force.
        """
        if self.phase is not Phase.RUNNING:
            return Probe(good=False, line=self.phase)
        health = self.health()
        if not health.good:
            return health
        line = f"ready; {self.trouble}; the settings in force stay as they were"
        return Probe(good=True, line=line if self.trouble else "ready")

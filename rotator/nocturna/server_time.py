"""The server's present, by the dates of its answers: what all rotators can compare."""

from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from rotator.clock import Clock

_YEARS = range(2000, 2400)  # other dates come from a broken server
_STEADY = 1.0  # seconds by which two clocks may drift apart between two answers


class ServerTime:
    """Remembers how far this machine's clock is off; `monotonic` counts seconds."""

    def __init__(self, clock: Clock, monotonic: Callable[[], float]) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._drift = 0.0
        self.skew: timedelta | None = None

    def note(self, date: str | None) -> None:
        """Take over a `Date` header, which tells the time in whole seconds; none is no harm."""
        try:
            moment = parsedate_to_datetime(date or "")
            skew = self._clock() - moment
        except (TypeError, ValueError, OverflowError):
            return
        if moment.year in _YEARS:
            self.skew, self._drift = skew, self._apart()

    def now(self) -> datetime:
        """Return the server's present as aware UTC: this machine's before the first date."""
        return self._clock() - (self.skew or timedelta())

    @property
    def is_doubtful(self) -> bool:
        """Whether this machine's clock was set since, or the machine slept."""
        return self.skew is not None and abs(self._apart() - self._drift) > _STEADY

    def _apart(self) -> float:
        return self._clock().timestamp() - self._monotonic()

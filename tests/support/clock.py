from datetime import UTC, datetime, timedelta

from rotator.clock import utc_now
from rotator.http.throttle import Throttle

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class FakeClock:
    """A clock that stands still until it is told to move."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, span: timedelta) -> None:
        self.now += span


class ServersClock:
    """The real time, but for what somebody sets it ahead or back."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self.ahead

    def pass_by(self) -> None:
        """Let the time go by for which a new token is left to whoever may have made it."""
        self.ahead += timedelta(seconds=11)


class StillTime:
    """Seconds that only pass while somebody sleeps; `naps` are those of each sleep."""

    def __init__(self) -> None:
        self.now = 0.0
        self.naps: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds

    def throttle(self, most: int = 2) -> Throttle:
        return Throttle(most, monotonic=self.monotonic, sleep=self.sleep)

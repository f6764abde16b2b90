from datetime import UTC, datetime, timedelta

from rotator.clock import utc_now

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

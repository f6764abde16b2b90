from collections.abc import Callable
from datetime import datetime, timedelta

from tests.support.clock import FakeClock


class Calendar(FakeClock):
    """The one true time; what is to happen at a moment happens then, however far a step goes."""

    def __init__(self) -> None:
        super().__init__()
        self._elapsed = timedelta()
        self._due: list[tuple[datetime, Callable[[], object]]] = []

    def monotonic(self) -> float:
        return self._elapsed.total_seconds()

    def plan(self, span: timedelta, action: Callable[[], object]) -> None:
        self._due.append((self.now + span, action))

    def advance(self, span: timedelta) -> None:
        end = self.now + span
        for moment, action in sorted(self._due, key=lambda each: each[0]):
            if moment <= end:
                self._due.remove((moment, action))
                self.now = max(self.now, moment)
                action()
        self.now = end
        self._elapsed += max(span, timedelta())

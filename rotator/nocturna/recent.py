"""A failure that counts for a while, so that a fleet does not repeat it token by token."""

from collections.abc import Callable

from rotator.errors import ApiError


class RecentFailure:
    """Remembers the last failure of a call; `monotonic` counts seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._error: ApiError | None = None
        self._until = 0.0

    def remember(self, error: ApiError, seconds: float) -> None:
        """Let this failure count for so long."""
        self._error, self._until = error, self._monotonic() + seconds

    def raise_again(self) -> None:
        """Raise the failure once more while it counts; do nothing otherwise."""
        if self._error and self._monotonic() < self._until:
            raise type(self._error)(str(self._error))

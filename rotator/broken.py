"""The store in the place of one that cannot be opened: it says so, and stops nothing else."""

from contextlib import AbstractContextManager
from typing import NoReturn

from rotator.errors import StoreUnreachableError
from rotator.stores.journal import Journal


class BrokenStore:
    """A store that never answers: each call raises `StoreUnreachableError` with `message`."""

    def __init__(self, url: str, message: str) -> None:
        self._url = url
        self._message = message

    @property
    def url(self) -> str:
        """The address as it was configured."""
        return self._url

    def read(self) -> NoReturn:
        """Raise."""
        self._raise()

    def preflight(self) -> NoReturn:
        """Raise."""
        self._raise()

    def write(self, secret: str, journal: Journal, *, expected: str) -> NoReturn:  # noqa: ARG002 - the port's
        """Raise."""
        self._raise()

    def note(self, journal: Journal, *, expected: str) -> NoReturn:  # noqa: ARG002 - (the same)
        """Raise."""
        self._raise()

    def hold(self) -> AbstractContextManager[None]:
        """Raise."""
        self._raise()

    def held_elsewhere(self) -> NoReturn:
        """Raise."""
        self._raise()

    def _raise(self) -> NoReturn:
        raise StoreUnreachableError(self._message)

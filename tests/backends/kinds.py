"""Every kind of store that is behind a server, each with a place for one secret of the test's."""

from collections.abc import Mapping
from typing import Protocol


class Site(Protocol):
    """A running server, and an empty place in it for one secret."""

    @property
    def upstream(self) -> str:
        """The server's own base URL."""
        ...

    @property
    def store_url(self) -> str:
        """The address of the secret, as a setting has it."""
        ...

    def variables(self, server: str) -> Mapping[str, str]:
        """Return the environment of a rotator that finds the server at this base URL."""
        ...

    def put(self, secret: str) -> None:
        """Set the secret by the store's own means."""
        ...

    def secret(self) -> str | None:
        """Return what a bot reads there."""
        ...

    def neighbours(self) -> object:
        """Return everything else that is kept beside the secret."""
        ...

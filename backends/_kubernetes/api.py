"""The three calls that the store needs: get, patch and create of one Secret.

https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/secret-v1/
"""

from collections.abc import Mapping
from typing import Any

from backends.kubernetes.address import Address
from backends.kubernetes.connection import Connection
from backends.kubernetes.failures import Answer


class Api:
    """One Secret at its API server; raises what a `Connection` does."""

    def __init__(self, address: Address, connection: Connection) -> None:
        self._connection = connection
        self._folder = f"api/v1/namespaces/{address.namespace}/secrets"
        self._file = f"{self._folder}/{address.name}"

    @property
    def nobody(self) -> str | None:
        """Where the user is described, if it has no credentials."""
        return self._connection.nobody

    def get(self) -> Answer:
        """Look at the Secret."""
        return self._connection.ask("GET", self._file)

    def patch(self, change: Mapping[str, Any], *, dry_run: bool = False) -> Answer:
        """Apply a merge patch to the Secret, or have the server only say whether it would."""
        return self._connection.ask("PATCH", self._file, change, dry_run=dry_run)

    def create(self, secret: Mapping[str, Any], *, dry_run: bool = False) -> Answer:
        """Create the Secret, or have the server only say whether it would."""
        return self._connection.ask("POST", self._folder, secret, dry_run=dry_run)

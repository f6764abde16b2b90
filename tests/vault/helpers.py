"""Opening stores with settings that are passed in."""

from collections.abc import Callable, Mapping
from pathlib import Path

from backends._vault.address import Address
from backends._vault.session import Session
from backends._vault.settings import Settings
from backends.vault import VaultStore
from rotator.registry import parse_url


def opened(
    url: str, variables: Mapping[str, str], monotonic: Callable[[], float] | None = None
) -> VaultStore:
    """Return a store with a session of its own, as another process would have."""
    settings = Settings.parse(variables)
    session = Session(settings, monotonic) if monotonic else Session(settings)
    return VaultStore(address(url), session)


def address(url: str) -> Address:
    return Address.parse(parse_url(url, Path()))

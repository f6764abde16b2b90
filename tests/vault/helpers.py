"""Opens stores with given settings, and collects what they say."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from backends.vault.address import VaultAddress
from backends.vault.session import VaultSession
from backends.vault.settings import VaultSettings
from backends.vault.store import VaultStore
from rotator.errors import StoreError, StoreUnreachableError
from rotator.stores.port import parse_url
from rotator.testing.rig import new_journal
from tests.vault.bao import ROOT

URL = "vault://secret/bots/luna"


def open_vault(
    url: str, variables: Mapping[str, str], monotonic: Callable[[], float] | None = None
) -> VaultStore:
    """Return a store with a session of its own, as another process would have."""
    settings = VaultSettings.parse(variables)
    session = VaultSession(settings, monotonic) if monotonic else VaultSession(settings)
    return VaultStore(address(url), session.call, settings.names)


def address(url: str) -> VaultAddress:
    return VaultAddress.parse(parse_url(url, Path()))


def read_failure(variables: dict[str, str], kind: type[StoreError] = StoreUnreachableError) -> str:
    """Return the one message with which all four calls fail at this server."""
    store = open_vault(URL, {"VAULT_TOKEN": ROOT} | variables)
    texts = set()
    for act in (
        store.read,
        store.preflight,
        lambda: store.write("eyJ.made-up.secret", new_journal(), expected="x"),
        lambda: store.note(new_journal(), expected="x"),
    ):
        with pytest.raises(kind) as caught:
            act()
        texts.add(str(caught.value))
    [text] = texts
    assert text.startswith(f"{store.url}: ")
    assert "\n" not in text
    assert ROOT not in text
    return text

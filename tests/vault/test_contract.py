"""The Vault store keeps the contract that every store has to keep."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from rotator.testing import Rig, StoreContract
from rotator.testing.contract import (
    FailingStores,
    FencedStores,
    RacingStores,
    ReadStores,
    WrittenStores,
)
from tests.support.relay import Relay
from tests.vault.helpers import open_vault
from tests.vault.site import FIELD, Site


@pytest.mark.sample(27)
class TestVault(StoreContract):
    @pytest.fixture
    def rig(self, site: Site, relay: Relay) -> Rig:
        """A secret with other fields and other notes, and without ours."""
        site.put_fields({"A": "1", "NUMBER": 12345678901234, "NESTED": {"x": [1.5, None, "ä"]}})
        note = {"max_versions": 40, "custom_metadata": {"owner": "team a"}}
        site.bao.call("POST", site.metadata, note)
        return _rig(site, relay)


@pytest.mark.long
class TestVaultWithoutAnything(ReadStores, WrittenStores, FailingStores):
    """The secret itself is not there."""

    @pytest.fixture
    def rig(self, site: Site, relay: Relay) -> Rig:
        return _rig(site, relay)


@pytest.mark.long  # it is there once the first write has been made
class TestVaultAfterwards(RacingStores, FencedStores):
    @pytest.fixture
    def rig(self, site: Site, relay: Relay) -> Rig:
        return _rig(site, relay)


def _rig(site: Site, relay: Relay) -> Rig:
    def open_with(token: str) -> None:
        site.token = token

    @contextmanager
    def with_policy(policy: str) -> Iterator[None]:
        usual = site.token
        open_with(site.bao.token_for(policy, f"{site.path.replace('/', '-')}-other"))
        yield
        open_with(usual)

    return Rig(
        open=lambda: open_vault(site.store_url, site.variables(relay.url)),
        put=site.put,
        neighbours=site.neighbours,
        unreachable=relay.away,
        forbidden=lambda: with_policy('path "nothing" { capabilities = ["read"] }'),
        read_only=lambda: with_policy(f'path "{site.data}" {{ capabilities = ["read"] }}'),
        cut=relay.cut,
        values=("no token", "Ä€ \"quoted\" 'too' $HOME #x =", "1", "", "two\nlines", FIELD),
    )

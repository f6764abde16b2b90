"""The Kubernetes store keeps the contract that every store has to keep; with a real cluster too."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from backends.kubernetes.store import KubernetesStore
from rotator.testing import Rig, StoreContract
from rotator.testing.contract import (
    FailingStores,
    FencedStores,
    RacingStores,
    ReadStores,
    WrittenStores,
)
from tests.kubernetes.helpers import opened
from tests.kubernetes.site import CHECKER, NOBODY, ROTATOR, Site
from tests.support.relay import Relay


@pytest.mark.sample(27)
class TestKubernetes(StoreContract):
    @pytest.fixture
    def rig(self, site: Site) -> Iterator[Rig]:
        with Relay(site.upstream) as relay:
            yield KubernetesRig(site, relay).rig()


@pytest.mark.sample(10)
class TestKubernetesThatCreates(ReadStores, WrittenStores, FailingStores):
    @pytest.fixture
    def rig(self, vacant: Site) -> Iterator[Rig]:
        with Relay(vacant.upstream) as relay:
            yield KubernetesRig(vacant, relay).rig()


@pytest.mark.long  # the Secret is there once the first write has been made
class TestKubernetesAfterwards(RacingStores, FencedStores):
    @pytest.fixture
    def rig(self, vacant: Site) -> Iterator[Rig]:
        with Relay(vacant.upstream) as relay:
            yield KubernetesRig(vacant, relay).rig()


class KubernetesRig:
    def __init__(self, site: Site, relay: Relay) -> None:
        self.site = site
        self.relay = relay
        self.account = ROTATOR

    def rig(self) -> Rig:
        return Rig(
            open=self.open,
            put=self.site.put,
            neighbours=self.site.neighbours,
            unreachable=self.relay.away,
            forbidden=lambda: self.acting_as(NOBODY),
            read_only=lambda: self.acting_as(CHECKER),
            cut=self.relay.cut,
        )

    def open(self) -> KubernetesStore:
        variables = self.site.variables(self.relay.url, self.account)
        return opened(self.site.store_url, variables)

    @contextmanager
    def acting_as(self, account: str) -> Iterator[None]:
        self.account = account
        yield
        self.account = ROTATOR

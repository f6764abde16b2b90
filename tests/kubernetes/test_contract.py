"""The Kubernetes store keeps the contract that every store has to keep; with a real cluster too."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backends.kubernetes.address import Address
from backends.kubernetes.store import KubernetesStore
from rotator.stores.port import parse_url
from rotator.testing import Rig, StoreContract
from tests.kubernetes.site import CHECKER, NOBODY, ROTATOR, Site
from tests.support.relay import Relay


class TestKubernetes(StoreContract):
    @pytest.fixture
    def rig(self, site: Site) -> Iterator[Rig]:
        with Relay(site.upstream) as relay:
            yield KubernetesRig(site, relay).rig()


class TestKubernetesThatCreates(StoreContract):
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
        address = Address.parse(parse_url(self.site.store_url, Path()))
        return KubernetesStore(address, self.site.variables(self.relay.url, self.account))

    @contextmanager
    def acting_as(self, account: str) -> Iterator[None]:
        self.account = account
        yield
        self.account = ROTATOR

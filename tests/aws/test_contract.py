"""The store in AWS Secrets Manager keeps the contract that every store has to keep."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from backends.aws.store import SecretsManagerStore
from rotator.testing import Cut, Rig, StoreContract
from rotator.testing.contract import ReadStores, WrittenStores
from tests.aws.conftest import store_at
from tests.aws.site import READING, Aws, Keys, Site
from tests.support.relay import Relay


@pytest.mark.sample(27)
class TestKeyOfAnObject(StoreContract):
    @pytest.fixture
    def rig(self, aws: Aws, relay: Relay) -> Rig:
        return AwsRig(Site(aws), relay).rig()


@pytest.mark.sample(8)
class TestBareToken(ReadStores, WrittenStores):
    @pytest.fixture
    def rig(self, aws: Aws, relay: Relay) -> Rig:
        return AwsRig(Site(aws, field=None), relay).rig()


class AwsRig:
    def __init__(self, site: Site, relay: Relay) -> None:
        self._site = site
        self._relay = relay
        self._server = site.upstream
        self._keys: Keys | None = None

    def rig(self) -> Rig:
        aws = self._site.aws
        return Rig(
            open=self.open,
            put=self._site.put,
            neighbours=self._site.neighbours,
            unreachable=self.unreachable,
            forbidden=lambda: self.acting(aws.may()),
            read_only=lambda: self.acting(aws.may(*READING)),
            cut=self.cut,
        )

    def open(self) -> SecretsManagerStore:
        site = self._site
        return store_at(site.store_url, site.aws, server=self._server, keys=self._keys)

    @contextmanager
    def acting(self, keys: Keys) -> Iterator[None]:
        self._keys = keys
        yield
        self._keys = None

    @contextmanager
    def unreachable(self) -> Iterator[None]:
        with self._through_relay(), self._relay.away():
            yield

    @contextmanager
    def cut(self, number: int) -> Iterator[Cut]:
        with self._through_relay(), self._relay.cut(number) as knife:
            yield knife

    @contextmanager
    def _through_relay(self) -> Iterator[None]:
        self._server = self._relay.url
        yield
        self._server = self._site.upstream

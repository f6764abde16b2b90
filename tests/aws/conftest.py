"""The one server of these tests, and stores on it."""

from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

import pytest

from backends.aws.address import AwsAddress
from backends.aws.clients import new_client
from backends.aws.store import SecretsManagerStore
from rotator.stores.port import parse_url
from tests.aws.answering import Endpoint, answering
from tests.aws.site import READING, REGION, WRITING, Aws, Keys, Site, running
from tests.support.relay import Relay

_made = cache(new_client)


@pytest.fixture(scope="session")
def aws() -> Iterator[Aws]:
    with running() as aws:
        yield aws


@pytest.fixture(scope="session")
def _relay(aws: Aws) -> Iterator[Relay]:
    with Relay(aws.upstream) as relay:
        yield relay


@pytest.fixture
def relay(_relay: Relay) -> Iterator[Relay]:
    """One relay for all, as a client for each address would take its time."""
    yield _relay
    _relay.at = lambda _: True
    _relay.moments.clear()


@pytest.fixture(scope="session")
def endpoint() -> Iterator[Endpoint]:
    with answering() as endpoint:
        yield endpoint


@pytest.fixture
def site(aws: Aws) -> Site:
    return Site(aws)


def store_at(
    url: str, aws: Aws, *, server: str | None = None, keys: Keys | None = None, attempts: int = 1
) -> SecretsManagerStore:
    """Return a store of a user that may all that is needed, or of the one with these keys."""
    address = AwsAddress.parse(parse_url(url, Path()), lambda: REGION)
    keys = aws.may(*READING, *WRITING) if keys is None else keys
    client = partial(
        _made, address.region, attempts=attempts, endpoint_url=server or aws.upstream, **keys
    )
    return SecretsManagerStore(address, client)

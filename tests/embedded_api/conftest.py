"""A fresh server for each test, at a noon of its own."""

from collections.abc import Iterator

import pytest

from tests.support.sandbox import Sandbox

from .client import Client, FakeClock


@pytest.fixture(autouse=True)
def _nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Requests hold secrets, so no test may make the server print a word."""
    yield
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def api(clock: FakeClock) -> Iterator[Sandbox]:
    with Sandbox(clock=clock) as api:
        yield api


@pytest.fixture
def client(api: Sandbox) -> Iterator[Client]:
    client = Client(api.url)
    yield client
    client.close()


@pytest.fixture
def admin(api: Sandbox) -> str:
    """An access token of the administrator."""
    return api.access_token()


@pytest.fixture
def user(api: Sandbox) -> str:
    """An access token of somebody who is no administrator."""
    api.add_user("user@example.com", "hunter22")
    return api.access_token("user@example.com")

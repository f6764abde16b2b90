"""One server for all tests of this store, and a place of its own for each."""

from collections.abc import Iterator

import pytest

from tests.support.relay import Relay
from tests.vault.bao import Bao
from tests.vault.roles import make_role
from tests.vault.site import Site, run_bao


@pytest.fixture(scope="session")
def bao() -> Iterator[Bao]:
    with run_bao() as bao:
        yield bao


@pytest.fixture
def site(bao: Bao) -> Site:
    return Site(bao)


@pytest.fixture
def relay(site: Site) -> Iterator[Relay]:
    with Relay(site.upstream) as relay:
        yield relay


@pytest.fixture
def approle(site: Site, relay: Relay) -> dict[str, str]:
    """The variables of a login whose token lives for an hour."""
    name = make_role(site)
    role_id = site.bao.call("GET", f"{name}/role-id")["data"]["role_id"]
    secret_id = site.bao.call("POST", f"{name}/secret-id")["data"]["secret_id"]
    return {"VAULT_ADDR": relay.url, "VAULT_ROLE_ID": role_id, "VAULT_SECRET_ID": secret_id}

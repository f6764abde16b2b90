"""Stores share a login, and so share its failure: their waits for a silent server do not add up."""

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from backends.vault.session import VaultSession
from backends.vault.settings import VaultSettings
from backends.vault.store import VaultStore
from rotator.errors import StoreUnreachableError
from tests.http_client.support import RawServer, raw_server
from tests.support.waiting import PATIENCE
from tests.vault.helpers import URL, address

CROWD = 8


def test_those_who_wait_for_a_login_that_fails_do_not_try_it_one_by_one() -> None:
    def hold(server: RawServer, connection: socket.socket) -> None:
        server.read_head(connection)
        server.is_over.wait(1.0)  # by now the others wait for the lock; then it hangs up

    with raw_server(hold) as server, ThreadPoolExecutor(CROWD) as pool:
        settings = VaultSettings.parse({"VAULT_ADDR": server.url, "VAULT_TOKEN": "a-token"})
        session = VaultSession(settings)
        store = VaultStore(address(URL), session.call, settings.names)
        for each in [pool.submit(store.read) for _ in range(CROWD)]:
            with pytest.raises(StoreUnreachableError, match="broke off at"):
                each.result(PATIENCE)
        asked = len(server.requests)
        assert asked < CROWD * 3  # one login, with its retries; more on a busy machine
        with pytest.raises(StoreUnreachableError):
            store.read()  # who comes later asks anew
        assert len(server.requests) > asked

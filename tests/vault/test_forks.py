"""Children of a fork, as of a server that loads a bot and then forks its workers."""

import os
import signal
from typing import NoReturn

import pytest

from rotator.client import TokenManager
from tests.support.relay import Relay
from tests.unit.jwts import service_jwt
from tests.vault.site import Site


def test_a_child_does_not_talk_over_its_parents_connection(
    site: Site, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.put(secret := service_jwt())
    for name, value in site.variables(relay.url).items():
        monkeypatch.setenv(name, value)
    assert TokenManager("https://example.com/api", site.store_url).get_service_token() == secret
    parents = sockets()
    child = os.fork() or read_in_child(site, parents)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def read_in_child(site: Site, parents: set[str]) -> NoReturn:
    status = 1
    signal.alarm(20)
    try:
        TokenManager("https://example.com/api", site.store_url).get_service_token()
        status = 0 if sockets() - parents else 3
    finally:
        os._exit(status)


def sockets() -> set[str]:
    """Return the sockets that this process has open."""
    found = set()
    for number in os.listdir("/proc/self/fd"):  # noqa: PTH208 - numbers, not paths
        try:
            found.add(os.readlink(f"/proc/self/fd/{number}"))  # noqa: PTH115 - (the same)
        except OSError:  # the one through which they were listed is closed
            continue
    return {each for each in found if each.startswith("socket:")}

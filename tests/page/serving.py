"""A page on a real socket, with whatever is to be shown on it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import requests

from rotator.clock import Clock
from rotator.config.settings import TokenSettings
from rotator.daemon.health import DaemonPhase, Health
from rotator.daemon.web import LOOPBACK, PATIENCE, ListenAddress, PageServer, PageSite
from rotator.rotation.states import TokenStates
from tests.support import waiting
from tests.support.clock import FakeClock


class Served(NamedTuple):
    server: PageServer
    health: Health
    states: TokenStates

    @property
    def url(self) -> str:
        return f"http://{self.server.address}/"

    @property
    def port(self) -> int:
        return self.server.address.port

    def get(self, path: str = "", **headers: str) -> requests.Response:
        return requests.get(self.url + path, headers=headers, timeout=waiting.PATIENCE)


class Passing:
    """Seconds of which there are always enough between two readers."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 10
        return self.now


@contextmanager
def served(  # noqa: PLR0913 - what a page is made of
    states: TokenStates,
    host: str = LOOPBACK,
    *,
    tokens: tuple[TokenSettings, ...] = (),
    clock: Clock | None = None,
    monotonic: Callable[[], float] | None = None,
    port: int = 0,
    patience: float = PATIENCE,
) -> Iterator[Served]:
    health = Health(time.monotonic, lambda: True)
    health.phase = DaemonPhase.RUNNING
    health.tokens = tokens
    site = PageSite(states, health, clock or FakeClock(), monotonic or Passing())
    server = PageServer(ListenAddress(host, port), site, patience)
    with server.serving():
        yield Served(server, health, states)

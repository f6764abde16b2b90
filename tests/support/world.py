"""One token in real stores, an API that listens, and a clock that stands still."""

import os
import re
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TypedDict, Unpack

from rotator import wiring
from rotator.clock import Clock
from rotator.config.settings import ApiSettings, AtMost, Secret, TokenSettings, Unused
from rotator.rotation.in_flight import InFlightMints
from rotator.rotation.inventory import FleetStores
from rotator.rotation.model import LazyApi, RotationContext
from rotator.rotation.rehearsal import Rehearsal
from rotator.rotation.rotation import Rotation
from rotator.stores.port import SecretStore
from rotator.stores.registry import Backends
from rotator.tokens import ServiceToken
from tests.support.clock import FakeClock
from tests.support.sandbox import Sandbox

MINT = ("POST", "/auth/admin/service-tokens", 200)
LOGIN = ("POST", "/auth/login", 200)
EXCHANGE = "/auth/service-token/refresh"
VARIABLE = re.compile(r"^NOCTURNA_SERVICE_TOKEN=(.*)$", re.MULTILINE)


_BACKENDS = Backends()  # looking for one takes a while


class Changes(TypedDict, total=False):
    """Settings that differ from the usual ones."""

    name: str
    renew_before: timedelta
    validity: timedelta
    scope: str | None
    probe: bool
    retire: timedelta | Unused | None
    hooks: tuple[tuple[str, ...], ...]
    notify: tuple[Secret, ...]
    rotation_timeout: timedelta
    at_most: AtMost | None


class Given(Changes, total=False):
    """What the tests may choose besides."""

    fleet: Sequence[SecretStore] | None
    api: LazyApi | None
    clock: Clock | None
    in_flight: InFlightMints | None
    sleep: Callable[[float], object] | None
    is_own: Callable[[str], bool]


class World:
    def __init__(self, folder: Path, api: Sandbox, clock: FakeClock) -> None:
        self.folder = folder
        self.api = api
        self.clock = clock

    def put(self, secret: str, file: str = ".env", *, before: str = "A=1\n") -> Path:
        path = self.folder / file
        path.write_text(f"{before}NOCTURNA_SERVICE_TOKEN={secret}\nB=2\n")
        path.chmod(0o600)
        return path

    def store(self, file: str = ".env") -> SecretStore:
        return _BACKENDS.open(f"dotenv:{file}", self.folder)

    def secret(self, file: str = ".env") -> str:
        found = VARIABLE.search((self.folder / file).read_text())
        return found[1] if found else ""

    def token(self, file: str = ".env") -> ServiceToken:
        return ServiceToken.parse(self.secret(file))

    def rotation(self, *stores: SecretStore, **given: Unpack[Given]) -> Rotation:
        """Return a rotation of these stores (`.env` by default) with an API session of its own."""
        return Rotation(*self._parts(stores, **given))

    def rehearsal(self, *stores: SecretStore, **given: Unpack[Given]) -> Rehearsal:
        """Return a rehearsal of the same."""
        return Rehearsal(*self._parts(stores, **given))

    def _parts(  # noqa: PLR0913 - what the tests may choose, by name
        self,
        stores: Sequence[SecretStore],
        *,
        fleet: Sequence[SecretStore] | None = None,
        api: LazyApi | None = None,
        clock: Clock | None = None,
        in_flight: InFlightMints | None = None,
        sleep: Callable[[float], object] | None = None,
        is_own: Callable[[str], bool] = lambda _: True,
        **settings: Unpack[Changes],
    ) -> tuple[TokenSettings, Sequence[SecretStore], RotationContext]:
        own = stores or (self.store(),)
        shared = RotationContext(
            api or self.open_api(),
            clock or self.clock,
            in_flight or InFlightMints(),
            FleetStores(
                lambda: [("luna", s) for s in (own if fleet is None else fleet)], time.monotonic
            ),
            sleep or self.sleep,
            {"PATH": os.environ["PATH"]},
            is_own=is_own,
        )
        token = TokenSettings(
            **{"name": "luna-bot", "origin": "test", "stores": (), **settings}  # type: ignore[arg-type] # a TypedDict
        )
        return token, own, shared

    def sleep(self, seconds: float) -> None:
        """Let time pass as the clock has it."""
        self.clock.advance(timedelta(seconds=seconds))

    def open_api(self, clock: Clock | None = None, name: str = "") -> LazyApi:
        email = Secret("test", value=self.api.admin_email)
        password = Secret("test", value=self.api.admin_password)
        settings = ApiSettings(self.api.url, email, password, name=name)
        return wiring.lazy_api(settings, clock or self.clock)

    def mints(self) -> int:
        return self.api.calls.count(MINT)

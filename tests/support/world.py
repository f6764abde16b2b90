"""One token in real stores, an API that listens, and a clock that stands still."""

import re
from datetime import timedelta
from pathlib import Path

from rotator import composition
from rotator.registry import Backends
from rotator.rotation import Rotation
from rotator.sandbox import Sandbox
from rotator.settings import ApiSettings, Secret, TokenSettings
from rotator.store import SecretStore
from rotator.times import Clock
from rotator.tokens import ServiceToken
from tests.support.clock import FakeClock

MINT = ("POST", "/auth/admin/service-tokens", 200)
LOGIN = ("POST", "/auth/login", 200)
EXCHANGE = "/auth/service-token/refresh"
VARIABLE = re.compile(r"^NOCTURNA_SERVICE_TOKEN=(.*)$", re.MULTILINE)


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
        return Backends().open(f"dotenv:{file}", self.folder)

    def secret(self, file: str = ".env") -> str:
        found = VARIABLE.search((self.folder / file).read_text())
        return found[1] if found else ""

    def token(self, file: str = ".env") -> ServiceToken:
        return ServiceToken.parse(self.secret(file))

    def rotation(  # noqa: PLR0913 - what may differ, by name
        self,
        *stores: SecretStore,
        validity: timedelta = timedelta(days=90),
        scope: str | None = None,
        probe: bool = True,
        name: str = "luna-bot",
        api: composition.OpenApi | None = None,
        clock: Clock | None = None,
    ) -> Rotation:
        """Return a rotation of these stores (`.env` by default) with an API session of its own."""
        settings = TokenSettings(
            name=name,
            origin="test",
            stores=(),
            validity=validity,
            scope=scope,
            probe=probe,
        )
        return Rotation(
            settings, stores or (self.store(),), api or self.open_api(), clock or self.clock
        )

    def open_api(self) -> composition.OpenApi:
        email = Secret("test", value=self.api.admin_email)
        password = Secret("test", value=self.api.admin_password)
        return composition.api_opener(ApiSettings(self.api.url, email, password), self.clock)

    def mints(self) -> int:
        return self.api.calls.count(MINT)

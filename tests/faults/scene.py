"""A due token in one store or several, and runs over it that find something broken."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest

from backends.dotenv.store import open_store
from rotator.config.settings import Unused
from rotator.http.client import Limits
from rotator.nocturna.api import ApiClient
from rotator.nocturna.service_tokens import TokenApi
from rotator.nocturna.session import AdminSession
from rotator.rotation.in_flight import InFlightMints
from rotator.rotation.model import LazyApi
from rotator.rotation.policy import RotateOptions
from rotator.rotation.report import Report
from rotator.stores.port import SecretStore, StoreUrl
from tests.faults.steps import Step, Stepped, unhindered
from tests.support.clock import FakeClock
from tests.support.sandbox import Sandbox
from tests.support.world import World

LONGEST_WAIT = timedelta(minutes=10)
ONE, THREE = ("a.env",), ("a.env", "b.env", "c.env")
STORES = [
    pytest.param(ONE, id="one store"),
    pytest.param(THREE, id="three stores", marks=pytest.mark.long),
]
USUAL = Limits(retries=1, backoff=0.0)
STUBBORN = Limits(retries=0)


class StuckError(Exception):
    """A run waits for something that never comes."""


class ImpatientWorld(World):
    """Lets time pass, but not for ever."""

    def __init__(self, folder: Path, api: Sandbox, clock: FakeClock) -> None:
        super().__init__(folder, api, clock)
        self.give_up = clock() + LONGEST_WAIT

    def store(self, file: str = ".env") -> SecretStore:
        # Looking for backends among all that is installed takes longer than a rotation.
        return open_store(StoreUrl(f"dotenv:{file}", "dotenv", file, {}, None, self.folder))

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if self.clock() > self.give_up:
            raise StuckError(f"waited for {LONGEST_WAIT}")


class Scene:
    """The world of one case; nothing in it is shared with another.

    `in_flight` is the one of a daemon, which outlives its runs; None starts a process for each run.
    `retire` is when old tokens are revoked.
    """

    def __init__(
        self, folder: Path, api: Sandbox, clock: FakeClock, files: Sequence[str] = ONE
    ) -> None:
        self.bots = folder / "bots"
        self.bots.mkdir(parents=True)
        self.told = folder / "told"
        self.world = ImpatientWorld(self.bots, api, clock)
        self.files = files
        self.in_flight: InFlightMints | None = None
        self.retire: timedelta | Unused | None = timedelta()
        self.said = StringIO()  # the log
        self.old = api.issue(days=3)
        self.lost = ""  # the texts that somebody else overwrote
        for file in files:
            self.world.put(self.old, file)

    @property
    def api(self) -> Sandbox:
        return self.world.api

    def run(
        self,
        *,
        passing: Step = unhindered,
        limits: Limits = USUAL,
        url: str | None = None,
        order: RotateOptions | None = None,
    ) -> Report:
        """Rotate as a run of its own does, with a session of its own."""
        self.world.give_up = self.world.clock() + LONGEST_WAIT
        stores: list[SecretStore] = [
            Stepped(self.world.store(file), file, passing) for file in self.files
        ]
        rotation = self.world.rotation(
            *stores,
            api=self._opener(url or self.api.url, limits),
            in_flight=self.in_flight,
            hooks=(self._hook(),),
            retire=self.retire,
        )
        with self._listening():
            return rotation.rotate(order or RotateOptions())

    def overwrite(self, file: str, secret: str, *, whole: bool) -> None:
        """Put another token into a store as somebody with an editor does, or with a backup."""
        path = self.bots / file
        text = path.read_text()
        self.lost += text
        if whole:
            self.world.put(secret, file)
        else:
            path.write_text(text.replace(self.world.secret(file), secret))

    @contextmanager
    def _listening(self) -> Iterator[None]:
        handler = logging.StreamHandler(self.said)
        logging.getLogger().addHandler(handler)
        try:
            yield
        finally:
            logging.getLogger().removeHandler(handler)

    def _opener(self, url: str, limits: Limits) -> LazyApi:
        http = ApiClient(url, self.world.clock, limits)
        admin = AdminSession(
            http, lambda: (self.api.admin_email, self.api.admin_password), time.monotonic
        )
        api = TokenApi(http, admin, time.monotonic)
        return LazyApi(lambda: api)

    def _hook(self) -> tuple[str, ...]:
        return ("sh", "-c", 'echo "$ROTATOR_TOKEN_ID" >>"$1"', "sh", str(self.told))

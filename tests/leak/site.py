"""Three bots in `.env` files, and an API; the time is the test's."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from rotator.cli.leaked.assessment import Order
from rotator.cli.leaked.emergency import Emergency
from rotator.cli.leaked.record import IncidentRecord
from rotator.cli.leaked.report_file import ReportFile
from rotator.cli.leaked.response import RecordKeeper, respond
from rotator.config.loader import load_settings
from rotator.config.settings import Settings
from rotator.tokens import ServiceToken
from tests.support.clock import FakeClock
from tests.support.sandbox import Sandbox
from tests.support.world import VARIABLE

COMMAND = "rotator leaked luna"


def nothing() -> None:
    """Do nothing."""


class Site:
    def __init__(self, folder: Path, api: Sandbox, clock: FakeClock) -> None:
        self.folder = folder
        self.api = api
        self.clock = clock
        self.stores = {"luna": ["luna.env"], "sol": ["sol.env"], "nyx": ["nyx.env"]}
        self.keys = ""  # more lines for each token
        self.url = api.url
        self.waited: list[float] = []
        for name in self.stores:
            self.put(name, api.issue(days=60))

    def put(self, name: str, secret: str, note: str = "") -> str:
        """Put a token into the file of that name, and return its id."""
        path = self.folder / f"{name}.env"
        path.write_text(f"{note}NOCTURNA_SERVICE_TOKEN={secret}\n")
        path.chmod(0o600)
        return ServiceToken.parse(secret).token_id or "" if secret else ""

    def text(self, name: str) -> str:
        return (self.folder / f"{name}.env").read_text()

    def id_in(self, name: str) -> str:
        found = VARIABLE.search(self.text(name))
        return ServiceToken.parse(found[1]).token_id or "" if found and found[1] else ""

    @property
    def live(self) -> set[str]:
        return {row.id for row in self.api.live_tokens()}

    def issue(self, *, days: float = 30, made: timedelta = timedelta(days=1)) -> str:
        """Make a token that no store holds, and return its id."""
        self.api.issue(days, created_at=self.clock() - made)
        return self.api.tokens[-1].id

    def emergency(
        self,
        *names: str,
        since: datetime | None = None,
        again: bool = False,
        sleep: Callable[[float], object] | None = None,
    ) -> Emergency:
        order = Order(since, again)
        return Emergency(self.settings, names, order, self.clock, sleep or self.waited.append)

    @property
    def settings(self) -> Settings:
        tables = [
            f'[[token]]\nname = "{name}"\nstores = {json.dumps([f"dotenv:{f}" for f in files])}\n'
            f"{self.keys}"
            for name, files in self.stores.items()
        ]
        (self.folder / "rotator.toml").write_text("".join(tables))
        variables = {
            "NOCTURNA_API_URL": self.url,
            "NOCTURNA_ADMIN_EMAIL": self.api.admin_email,
            "NOCTURNA_ADMIN_PASSWORD": self.api.admin_password,
        }
        return load_settings(None, variables, self.folder)

    def answer(
        self,
        *names: str,
        since: datetime | None = None,
        again: bool = False,
        revoke_found: bool = False,
        stopped: Callable[[], bool] = lambda: False,
        file: ReportFile | None = None,
    ) -> IncidentRecord:
        """Do what the command does, and return its record."""
        emergency = self.emergency(*names, since=since, again=again)
        record = IncidentRecord(COMMAND, self.api.url, self.clock(), revoke_found=revoke_found)
        record.assessments, before = emergency.examine()
        record.take_first_look(before)
        respond(
            emergency,
            RecordKeeper(record, file, self.clock),
            stopped=stopped,
            advance=nothing,
        )
        return record

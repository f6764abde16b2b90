"""Settings, stores and an API, and what the doctor finds in them."""

import os
from collections.abc import Mapping
from pathlib import Path

from rotator.cli.doctor.findings import Finding, Result
from rotator.cli.doctor.gather import examine
from rotator.config.loader import load_settings
from rotator.config.settings import Settings
from tests.support.clock import FakeClock
from tests.support.sandbox import Sandbox

API = '[api]\nallow_insecure_http = true\nurl = "{url}"\nadmin_email = "{email}"\n'


class Clinic:
    def __init__(self, folder: Path, api: Sandbox, clock: FakeClock) -> None:
        self.folder = folder
        self.api = api
        self.clock = FakeClock(clock.now)  # this machine's; the other one is the API's
        self.variables: dict[str, str] = {"NOCTURNA_ADMIN_PASSWORD": api.admin_password}
        self.url = api.url
        self.email = api.admin_email

    def put(self, secret: str, file: str = "luna.env", note: str = "") -> None:
        path = self.folder / file
        path.write_text(f"{note}NOCTURNA_SERVICE_TOKEN={secret}\n")
        path.chmod(0o600)

    def examine(
        self,
        *names: str,
        toml: str = "",
        tokens: Mapping[str, str] | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> list[Finding]:
        """Examine `luna` in `luna.env`, with more of TOML, or these tokens' TOML by name."""
        return examine(self.settings(toml, tokens), names, self.clock, environ)

    def settings(self, toml: str = "", tokens: Mapping[str, str] | None = None) -> Settings:
        """Write and load the config that `examine` takes."""
        usual = {"luna": f'stores = ["dotenv:luna.env"]\n{toml}'}
        tables = [f'[[token]]\nname = "{n}"\n{text}\n' for n, text in (tokens or usual).items()]
        api = API.format(url=self.url, email=self.email)
        (self.folder / "rotator.toml").write_text(api + "".join(tables))
        return load_settings(None, self.variables, self.folder)


def bad(found: list[Finding]) -> list[tuple[str, str]]:
    """Return check and status of all that is not fine."""
    return [(str(f.topic), str(f.result)) for f in found if f.result is not Result.OK]


def message(found: list[Finding]) -> str:
    """Return the message of the only finding that is not fine."""
    (text,) = [finding.message for finding in found if finding.result is not Result.OK]
    return text

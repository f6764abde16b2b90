"""Two tokens in two files, and the API that has made them."""

from pathlib import Path

from rotator.config.loader import load_settings
from rotator.config.settings import Settings
from tests.support.sandbox import Sandbox

TOML = """
[[token]]
name = "luna"
stores = ["dotenv:luna.env"]
[[token]]
name = "sol"
stores = ["dotenv:{sol}"]
"""


class Desk:
    def __init__(self, folder: Path, api: Sandbox) -> None:
        self.folder = folder
        self.api = api
        self.sol = "sol.env"

    def issue(self, days: float = 60, *, eternal: bool = False) -> str:
        """Make a token that no store holds, and return its id."""
        self.api.issue(days, eternal=eternal)
        return self.api.tokens[-1].id

    def put(self, file: str = "luna.env", *, note: str = "", days: float = 60) -> str:
        """Make a token in a store, with a journal, and return its id."""
        path = self.folder / file
        path.write_text(f"{note}NOCTURNA_SERVICE_TOKEN={self.api.issue(days)}\n")
        path.chmod(0o600)
        return self.api.tokens[-1].id

    @property
    def live_ids(self) -> set[str]:
        return {row.id for row in self.api.live_tokens()}

    @property
    def settings(self) -> Settings:
        (self.folder / "rotator.toml").write_text(TOML.format(sol=self.sol))
        variables = {
            "NOCTURNA_API_URL": self.api.url,
            "NOCTURNA_ADMIN_EMAIL": self.api.admin_email,
            "NOCTURNA_ADMIN_PASSWORD": self.api.admin_password,
        }
        return load_settings(None, variables, self.folder)

"""Where the tokens of the fleet stand, as a bot and an administrator see it: text in files."""

import re
from pathlib import Path
from typing import NamedTuple

from backends.dotenv.store import open_store
from rotator.rotation.observe import Observation, observe_store
from rotator.stores.port import SecretStore, parse_url


class Place(NamedTuple):
    """One variable of one file, for the token of that name."""

    name: str
    path: Path
    variable: str

    def open(self) -> SecretStore:
        return open_store(parse_url(f"dotenv://{self.path}#{self.variable}", self.path.parent))

    @property
    def secret(self) -> str:
        """What the bot reads, empty when there is nothing."""
        found = re.search(rf"^{self.variable}=(.*)$", text_of(self.path), re.MULTILINE)
        return found[1] if found else ""

    @property
    def reading(self) -> Observation:
        found = observe_store(self.open())
        assert isinstance(found, Observation)
        return found

    def with_secret(self, secret: str) -> str:
        """Return the file's text with another value, as an editor makes it."""
        text, line = text_of(self.path), f"{self.variable}={secret}\n"
        changed, count = re.subn(rf"^{self.variable}=.*\n", line, text, flags=re.MULTILINE)
        return changed if count else text + line

    def without(self, *, journal: bool) -> str:
        """Return the file's text without the variable, and without its journal or with it."""
        note = "" if journal else r"(# rotator: v=.*\n)*"
        line = rf"^{note}{self.variable}=.*\n"
        return re.sub(line, "", text_of(self.path), flags=re.MULTILINE)


def text_of(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def rest_of(path: Path) -> str:
    """Return all that is no business of the rotator."""
    own = r"^(# rotator: v=|NOCTURNA_SERVICE_TOKEN=|SOL_TOKEN=).*\n"
    return re.sub(own, "", text_of(path), flags=re.MULTILINE)

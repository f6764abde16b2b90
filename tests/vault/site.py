"""A place for one secret in a real server, with the least rights that the docs print."""

import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.vault.bao import Bao, dev_server

DOCS = Path(__file__).parents[2] / "docs" / "stores.md"
FIELD = "NOCTURNA_SERVICE_TOKEN"
_DOCUMENTED = "bots/luna"
_numbers = itertools.count()


class Site:
    """An empty place in a running server: a path that nobody else uses.

    `upstream` is the server's base URL. What the rotator's token may do is what the docs say.
    """

    def __init__(self, bao: Bao, mount: str = "secret") -> None:
        number = next(_numbers)
        self.bao = bao
        self.upstream = bao.url
        self.mount = mount
        self.path = f"bots/luna-{number}"
        self.store_url = f"vault://{mount}/{self.path}#{FIELD}"
        self.data = f"{mount}/data/{self.path}"
        self.metadata = f"{mount}/metadata/{self.path}"
        self.token = bao.token_for(self.policy(), f"site-{number}")

    def policy(self, *, to_look: bool = False) -> str:
        """Return a policy of the docs, for this place."""
        return (
            documented_policy(to_look=to_look)
            .replace(f"secret/data/{_DOCUMENTED}", self.data)
            .replace(f"secret/metadata/{_DOCUMENTED}", self.metadata)
        )

    def variables(self, server: str) -> dict[str, str]:
        """Return the environment of a rotator that reaches the server at this base URL."""
        return {"VAULT_ADDR": server, "VAULT_TOKEN": self.token}

    def put(self, secret: str) -> None:
        """Set the field, as an operator would by `bao kv patch` or `bao kv put`."""
        self.put_fields({**self.fields(), FIELD: secret})

    def put_fields(self, fields: dict[str, object]) -> None:
        self.bao.call("POST", self.data, {"data": fields})

    def secret(self) -> str | None:
        """Return what a bot reads there."""
        found = self.fields().get(FIELD)
        return None if found is None else str(found)

    def fields(self) -> dict[str, object]:
        return dict((self.bao.call("GET", self.data).get("data") or {}).get("data") or {})

    def notes(self) -> dict[str, str]:
        """Return the secret's custom_metadata."""
        return dict(
            (self.bao.call("GET", self.metadata).get("data") or {}).get("custom_metadata") or {}
        )

    def neighbours(self) -> object:
        """Return all fields but ours, all notes but ours, and the options of the secret."""
        about = self.bao.call("GET", self.metadata).get("data") or {}
        fields = {key: value for key, value in self.fields().items() if key != FIELD}
        notes = {key: text for key, text in self.notes().items() if not key.startswith("rotator:")}
        options = {key: about.get(key) or None for key in ("max_versions", "cas_required")}
        return fields, notes, options


def documented_policy(*, to_look: bool = False) -> str:
    """Return the least rights as the docs print them: to rotate, or only to look."""
    to_rotate, looking = re.findall(r"```hcl\n(.*?)```", DOCS.read_text(), re.DOTALL)
    return str(looking if to_look else to_rotate)


@contextmanager
def run_bao() -> Iterator[Bao]:
    """Run a server with a KV version 2 mount `secret`, and with nothing in it."""
    with TemporaryDirectory() as folder, dev_server(Path(folder)) as port:
        bao = Bao(f"http://127.0.0.1:{port}")
        bao.wait_for("secret")
        yield bao

"""A fleet in `.env` files: fine, due, behind, away, eternal, and with debts."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from rotator.cli.status.gather import StatusReader
from rotator.cli.status.sections import view_as_lines
from rotator.clock import utc_now
from rotator.config.loader import load_settings
from tests.support.process import Runner
from tests.support.sandbox import Sandbox

OLD_ID = "11111111-2222-4333-8444-555555555555"


def put(folder: Path, file: str, secret: str, note: str = "") -> None:
    path = folder / file
    path.write_text(f"{note}NOCTURNA_SERVICE_TOKEN={secret}\n")
    path.chmod(0o600)


def write_config(rotator: Runner, stores: dict[str, list[str]]) -> None:
    """Configure these tokens, and nothing in the environment."""
    tables = [f'[[token]]\nname = "{name}"\nstores = {urls}\n' for name, urls in stores.items()]
    (rotator.folder / "rotator.toml").write_text("".join(tables).replace("'", '"'))
    rotator.env.pop("ROTATOR_STORE", None)


def in_a_day() -> str:
    return f"{datetime.now(UTC) + timedelta(days=1, minutes=1):%Y-%m-%dT%H:%M:%SZ}"


def keep(rotator: Runner, api: Sandbox) -> None:
    """Make a fleet of which nothing is due: a daemon leaves it as it is."""
    folder = rotator.folder
    secret = api.issue(days=60)
    note = f"# rotator: v=1 token={api.tokens[-1].id} owed={OLD_ID}@{in_a_day()}\n"
    put(folder, "owing.env", secret, note)
    put(folder, "fine.env", api.issue(days=41.5))
    put(folder, "eternal.env", api.issue(eternal=True))
    put(folder, "half.env", api.issue(days=30))
    write_config(
        rotator,
        {
            "fine-bot": ["dotenv:fine.env"],
            "owing-bot": ["dotenv:owing.env"],
            "eternal-bot": ["dotenv:eternal.env"],
            "half-bot": ["dotenv:half.env", "dotenv:nowhere/.env"],
        },
    )


def make_needy(rotator: Runner, api: Sandbox) -> None:
    """Make a fleet in which most tokens need something."""
    folder = rotator.folder
    put(folder, "fine.env", api.issue(days=41.5))
    put(folder, "due.env", api.issue(days=3.5))
    put(folder, "over.env", api.issue(days=-2.5))
    put(folder, "behind.env", api.issue(days=50))
    secret = api.issue(days=60)
    note = f"# rotator: v=1 token={api.tokens[-1].id} hook=0123abcd\n"
    put(folder, "hook.env", secret, note)
    write_config(
        rotator,
        {
            "fine-bot": ["dotenv:fine.env"],
            "due-bot": ["dotenv:due.env"],
            "over-bot": ["dotenv:over.env"],
            "behind-bot": ["dotenv:behind.env", "dotenv:copy.env"],
            "hook-bot": ["dotenv:hook.env"],
        },
    )


class Told(NamedTuple):
    """What a look came to, as a pipe gets it, and whether all is well."""

    is_well: bool
    out: str


def look(rotator: Runner, name: str | None, *, probe: bool = False, **changes: str) -> Told:
    """Look as `rotator status` does, without a process of its own."""
    settings = load_settings(None, {**rotator.env, **changes}, rotator.folder)
    names, is_named = [name] if name else [], name is not None
    reader = StatusReader(
        settings, names, utc_now, with_chain=is_named, probe=probe, describe=lambda _: []
    )
    try:
        view = reader.read()
    finally:
        reader.close()
    out = view_as_lines(view)
    rotator.transcript.add(f"a look at {name}", out)
    return Told(view.fleet.is_well, out)

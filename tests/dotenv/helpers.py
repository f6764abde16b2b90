"""Opening stores, and asking the two readers that count: python-dotenv and sh."""

import os
import subprocess
from pathlib import Path

import dotenv

from backends.dotenv.store import DotenvStore
from rotator.stores.journal import Journal
from tests.support.waiting import PATIENCE

NAME = "TOKEN"
NO_JOURNAL = Journal()
SRC = str(Path(__file__).parents[2])


def store_at(path: Path, *, name: str = NAME, lock_timeout: float = PATIENCE) -> DotenvStore:
    return DotenvStore(path, name, lock_timeout=lock_timeout)


def put(path: Path, secret: str, journal: Journal = NO_JOURNAL, *, name: str = NAME) -> str:
    store = store_at(path, name=name)
    store.write(secret, journal, expected=store.read().version)
    return store.read().version


def note(path: Path, journal: Journal = NO_JOURNAL, *, name: str = NAME) -> str:
    store = store_at(path, name=name)
    return store.note(journal, expected=store.read().version)


def dotenv_value(path: Path, name: str = NAME) -> str | None:
    with path.open(encoding="utf-8-sig", errors="surrogateescape") as stream:
        return dotenv.dotenv_values(stream=stream, interpolate=False)[name]


def sh_value(path: Path, name: str = NAME) -> str:
    script = 'set -a; . "$1"; exec printenv "$2"'
    ran = subprocess.run(
        ["/bin/sh", "-c", script, "sh", str(path), name],
        check=True,
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"]},
    )
    assert ran.stderr == ""
    return ran.stdout.removesuffix("\n")


def names_in(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))  # noqa: PTH208 - only the names matter

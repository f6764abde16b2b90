"""The example programs, where other users may run them, and the tools that some of them need."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

STORES = Path(__file__).parents[2] / "examples" / "stores"
TOOLS: dict[str, tuple[str, ...]] = {
    "json": (),
    "pass": ("pass", "gpg"),
    "age": ("age", "age-keygen"),
    "sops": ("sops", "age-keygen"),
    "ansible-vault": ("ansible-vault",),
}


def installed(name: str, folder: Path) -> Path:
    """Copy a program into a folder, and return where it is."""
    return Path(shutil.copy(STORES / name, folder))


def require(kind: str) -> None:
    if missing := [tool for tool in TOOLS[kind] if not shutil.which(tool)]:
        pytest.skip(f"{' and '.join(missing)} not installed")


def run(*command: str | Path, given: bytes = b"", folder: Path | None = None) -> bytes:
    done = subprocess.run(command, input=given, capture_output=True, check=True, cwd=folder)
    return done.stdout


@pytest.fixture(scope="session")
def gnupg() -> Iterator[Path]:
    """Return a home of GnuPG with one key; its path must be short, for the agent's socket."""
    require("pass")
    home = Path(tempfile.mkdtemp(prefix="gpg-"))
    run("gpg", "--homedir", home, "--batch", "--passphrase", "", "--quick-gen-key", "bot@luna")
    yield home
    run("gpgconf", "--homedir", home, "--kill", "all")
    shutil.rmtree(home)

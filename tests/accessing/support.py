"""`rotator access-token` as a process, and the folder of its cache."""

from pathlib import Path

from tests.support.process import Runner
from tests.support.sandbox import Sandbox
from tests.support.waiting import PATIENCE

EXCHANGE = ("POST", "/auth/service-token/refresh", 200)


def prepare(rotator: Runner) -> None:
    """Leave only what the command needs: no admin, and a runtime directory."""
    for name in ("NOCTURNA_ADMIN_EMAIL", "NOCTURNA_ADMIN_PASSWORD_FILE"):
        del rotator.env[name]
    runtime = rotator.folder / "runtime"
    runtime.mkdir(mode=0o700)
    rotator.env["XDG_RUNTIME_DIR"] = str(runtime)


def folder(rotator: Runner) -> Path:
    return rotator.folder / "runtime" / "nocturna-rotator"


def exchanges(api: Sandbox) -> int:
    return api.calls.count(EXCHANGE)


def printed(rotator: Runner, *arguments: str, **changes: str) -> str:
    """Return the line on stdout, which for once is a secret."""
    with rotator.started("access-token", *arguments, **changes) as running:
        assert running.process.wait(PATIENCE) == 0, running.lines
        out = running.take_out()
    assert running.lines == []
    assert out.endswith("\n")
    return out.removesuffix("\n")


def warned(rotator: Runner, **changes: str) -> str:
    """Return the one line on stderr of a run that prints a token all the same."""
    with rotator.started("access-token", "--cache", **changes) as running:
        assert running.process.wait(PATIENCE) == 0
        assert running.take_out().startswith("eyJ")
    (line,) = running.lines
    return line

"""`rotator demo`: shows the whole job with the real commands, against an embedded API."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TextIO

import click

from rotator.clock import in_words, utc_now
from rotator.errors import MalformedTokenError
from rotator.sandbox import Sandbox
from rotator.tokens import ServiceToken

DAYS_LEFT = 3
_ENV = """\
# Luna, the bot of this demo
BOT_NAME="Luna"
NOCTURNA_SERVICE_TOKEN={token}
LOG_LEVEL=info   # debug says more
"""
_STEPS = (("check", 1), ("rotate", 0), ("check", 0))
_JWT = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+")


def run(out: TextIO) -> int:
    """Show a rotation of a token with 3 days left; return 0 if it succeeds.

    Leaves nothing but a new folder with the rotated `.env`.
    """
    folder = Path(tempfile.mkdtemp(prefix="nocturna-demo-"))
    env_file = folder / ".env"
    with Sandbox() as api:
        old = api.issue(days=DAYS_LEFT)
        env_file.write_text(_ENV.format(token=old))
        env_file.chmod(0o600)
        _say(out, f"A bot reads its token from {env_file}, which says:", _masked(env_file))
        _say(out, f"Its API is embedded here, at {api.url}. Now the rotator:")
        as_expected = [_command(out, name, api, folder) == status for name, status in _STEPS]
        new = env_file.read_text()
        as_expected.append(old not in new and any(map(api.accepts, _JWT.findall(new))))
    _say(out, "The same file now; only the token and its record have changed:", _masked(env_file))
    _say(out, "The old token stays valid until it expires, so no bot is cut off.")
    if not all(as_expected):
        _say(out, "This is not what should have happened; please report the lines above.")
    return 0 if all(as_expected) else 1


def _command(out: TextIO, name: str, api: Sandbox, folder: Path) -> int:
    ours = {
        "NOCTURNA_API_URL": api.url,
        "NOCTURNA_ADMIN_EMAIL": api.admin_email,
        "NOCTURNA_ADMIN_PASSWORD": api.admin_password,
        "ROTATOR_STORE": "dotenv:.env",
    }
    others = {k: v for k, v in os.environ.items() if not k.startswith(("NOCTURNA_", "ROTATOR_"))}
    result = subprocess.run(  # noqa: S603 - this program itself, with a name from the list above
        [sys.executable, "-m", "rotator", name],
        cwd=folder,
        env={**others, **ours},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    _say(out, f"$ rotator {name}", f"{result.stdout.rstrip()}\n[exit status {result.returncode}]")
    return result.returncode


def _masked(env_file: Path) -> str:
    return _JWT.sub(lambda match: _described(match[0]), env_file.read_text().rstrip())


def _described(secret: str) -> str:
    try:
        token = ServiceToken.parse(secret)
    except MalformedTokenError:
        return "<not a token>"
    left = token.remaining(utc_now())
    return f"<token {token.name[:8]}…, {in_words(left) if left else 'for ever'} left>"


def _say(out: TextIO, title: str, block: str = "") -> None:
    body = "".join(f"  {line}\n" for line in block.splitlines())
    out.write(f"{title}\n{body}\n")
    out.flush()


@click.command("demo", short_help="See it work, against an embedded API.")
def command() -> int:
    """Show the whole job in a few seconds, against an API that this program embeds.

    Needs no settings, and leaves nothing but a new folder, whose name it prints.
    """
    return run(sys.stdout)

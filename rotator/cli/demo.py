"""`rotator demo`: shows the whole job with the real commands, against an embedded API."""

import os
import re
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rotator.cli import options, output
from rotator.cli.tables import terminal_width
from rotator.clock import in_words, utc_now
from rotator.tokens import ServiceToken

if TYPE_CHECKING:
    from rotator.embedded_api import EmbeddedApi

_DAYS_LEFT = 3
_INDENT = "  "
_ENV = """\
# Luna, the bot of this demo
BOT_NAME="Luna"
NOCTURNA_SERVICE_TOKEN={token}
LOG_LEVEL=info   # debug says more
"""
_STEPS = (("check", 1), ("rotate", 0), ("check", 0))
_JWT = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+")


@options.examples("rotator demo", "TMPDIR=/var/tmp rotator demo")
@click.command("demo", short_help="See it work, against an embedded API.")
def command() -> int:
    """Show the whole job in seconds, against an API that this program embeds.

    Needs no settings, and leaves nothing but a new folder, whose name it prints.
    """
    from rotator.embedded_api import EmbeddedApi  # noqa: PLC0415 - a help needs click alone

    folder = Path(tempfile.mkdtemp(prefix="nocturna-demo-"))
    env_file = folder / ".env"
    with EmbeddedApi() as api:
        old = api.issue(days=_DAYS_LEFT)
        env_file.write_text(_ENV.format(token=old))
        env_file.chmod(0o600)
        _say(f"A bot reads its token from {env_file}, which says:", _mask(env_file))
        _say(f"Its API is embedded here, at {api.url}. Now the rotator:")
        as_expected = [_run(name, api, folder) == exit_code for name, exit_code in _STEPS]
        new = env_file.read_text()
        as_expected.append(old not in new and any(map(api.accepts, _JWT.findall(new))))
    _say("The same file now; only the token and its record have changed:", _mask(env_file))
    _say("The old token stays valid until it expires, so no bot is cut off.")
    if not all(as_expected):
        _say("This is not what should have happened; please report the lines above.")
    return 0 if all(as_expected) else 1


def _run(name: str, api: "EmbeddedApi", folder: Path) -> int:
    """Run a command, on a terminal as one sees it there, and return its exit status."""
    on_terminal = output.is_terminal()
    if on_terminal:
        click.echo(f"$ rotator {name}")
    others = {k: v for k, v in os.environ.items() if not k.startswith(("NOCTURNA_", "ROTATOR_"))}
    result = subprocess.run(  # noqa: S603 - this program itself, with a name from the list above
        [sys.executable, "-m", "rotator", name],
        cwd=folder,
        env={
            **others,
            "NOCTURNA_API_URL": api.url,
            "NOCTURNA_ADMIN_EMAIL": api.admin_email,
            "NOCTURNA_ADMIN_PASSWORD": api.admin_password,
            "ROTATOR_STORE": "dotenv:.env",
        },
        stdout=None if on_terminal else subprocess.PIPE,
        stderr=None if on_terminal else subprocess.STDOUT,
        text=True,
        check=False,
    )
    end = f"[exit status {result.returncode}]"
    if on_terminal:
        _say(end)
    else:
        _say(f"$ rotator {name}", f"{result.stdout.rstrip()}\n{end}")
    return result.returncode


def _mask(env_file: Path) -> str:
    """Return the file with its tokens described; on a terminal the ends of long lines are cut."""
    lines = _JWT.sub(lambda match: _describe(match[0]), env_file.read_text().rstrip()).splitlines()
    if output.is_terminal():
        width = terminal_width() - len(_INDENT)
        lines = [line if len(line) <= width else f"{line[: width - 1]}…" for line in lines]
    return "\n".join(lines)


def _describe(secret: str) -> str:
    token = ServiceToken.parse(secret)
    left = token.remaining(utc_now())
    return f"<token {token.name[:8]}…, {in_words(left) if left else 'for ever'} left>"


def _say(title: str, block: str = "") -> None:
    body = f"{textwrap.indent(block, _INDENT)}\n" if block else ""
    click.echo(f"{title}\n{body}")

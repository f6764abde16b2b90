"""The command line: each command is a file or a folder, which is imported when it is called."""

from collections.abc import Sequence
from importlib import import_module

import click

from rotator import __version__
from rotator.cli import options

_COMMANDS = (  # in the order of the help
    "init",
    "check",
    "status",
    "rotate",
    "rehearse",
    "mint",
    "daemon",
    "exec",
    "access-token",
    "tokens",
    "leaked",
    "report",
    "notify",
    "doctor",
    "config",
    "demo",
    "completion",
)


class _CommandFiles(click.Group):
    """Finds the command `access-token` as `rotator.cli.access_token.command`, when it is called.

    So `rotator check` starts without loading the other commands.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(f"rotator.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command


@click.group(
    cls=_CommandFiles,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@options.shared
@click.version_option(__version__, prog_name="rotator")
def cli(**_shared: object) -> None:
    """Keep the Nocturna API service tokens of your bots alive.

    rotator init sets it up by asking. By hand, one token needs no config file, only the
    environment:

    \b
      export NOCTURNA_API_URL=https://your-api-server.com/api
      export NOCTURNA_ADMIN_EMAIL=admin@example.com
      export NOCTURNA_ADMIN_PASSWORD_FILE=/run/secrets/nocturna_admin_password
      export ROTATOR_STORE=dotenv:.env
      rotator check     # how long is the token in .env valid?
      rotator rotate    # renew it, if fewer than 7 days are left

    Several tokens need a config file with a [[token]] for each: --config FILE, $ROTATOR_CONFIG, or
    rotator.toml in the current folder. NAME picks some of them; without it a command serves all.
    """  # noqa: D301 - \b is click's mark for lines that are not to be wrapped


def find_command(arguments: Sequence[str]) -> str | None:
    """Return the name of the command that is called, behind the options before it."""
    takes_value = {
        name
        for option in cli.params
        if isinstance(option, click.Option) and not option.is_flag
        for name in option.opts
    }
    words = iter(arguments)
    for word in words:
        if word in takes_value:
            next(words, None)
        elif not word.startswith("-"):
            return word
    return None

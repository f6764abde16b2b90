"""The command line: each command is a file or a folder, which is imported when it is called."""

from importlib import import_module

import click

from rotator import __version__

_COMMANDS = (  # in the order of the help
    "init",
    "check",
    "status",
    "rotate",
    "mint",
    "daemon",
    "exec",
    "access-token",
    "tokens",
    "leaked",
    "report",
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
@click.version_option(__version__, prog_name="rotator")
def cli() -> None:
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

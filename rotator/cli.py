"""The command line: parse and call. Each command returns its exit status."""

import os
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import click

from rotator import __version__, commands
from rotator import config as settings
from rotator.errors import ConfigError
from rotator.logs import FORMATS, configure
from rotator.order import Order
from rotator.settings import Settings
from rotator.times import utc_now


def _begun_names(context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """Complete a token's name; a config that is wrong completes nothing."""
    try:
        tokens = _settings(context.params.get("config")).tokens
    except Exception:  # noqa: BLE001 - a shell that completes is no place for an error
        return []
    return [token.name for token in tokens if token.name.startswith(begun)]


def _configured(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options that every command with settings has."""
    path = click.Path(path_type=Path)
    formats = click.Choice(FORMATS)
    with_log = click.option(
        "--log-format", type=formats, default="text", help="How the log on stderr looks."
    )
    with_config = click.option(
        "--config", type=path, help="The config file [default: $ROTATOR_CONFIG, or ./rotator.toml]."
    )
    return with_config(with_log(command))


_names = click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=_begun_names)
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="rotator")
def cli() -> None:
    """Keep the Nocturna API service tokens of your bots alive.

    One token needs no config file, only the environment:

    \b
      export NOCTURNA_API_URL=https://your-api-server.com/api
      export NOCTURNA_ADMIN_EMAIL=admin@example.com
      export NOCTURNA_ADMIN_PASSWORD_FILE=/run/secrets/nocturna_admin_password
      export ROTATOR_STORE=dotenv:.env
      rotator check     # how long does the token in .env live?
      rotator rotate    # renew it, if fewer than 7 days are left

    More tokens have a [[token]] each in a config file: --config FILE, $ROTATOR_CONFIG, or
    rotator.toml in the current folder. NAME picks some of them; without it a command serves all.
    """  # noqa: D301 - \b is click's mark for lines that are not to be wrapped


@cli.command()
@_names
@click.option("--probe", is_flag=True, help="Also ask the API whether it accepts the token.")
@_json
@_configured
def check(
    names: tuple[str, ...], config: Path | None, log_format: str, *, probe: bool, as_json: bool
) -> int:
    """Look at the tokens and change nothing.

    Exits like a monitoring plugin: 0 fine; 1 due for renewal, or a store is behind; 2 expired,
    missing, invalid, or refused by the API; 3 cannot tell (a store or the API does not answer, or
    the settings are wrong). Of several tokens the worst counts: 2, then 3, then 1.
    """
    return commands.check(_begin(config, log_format), names, probe=probe, as_json=as_json)


@cli.command()
@_names
@click.option("--force", is_flag=True, help="Make a new token even where the old one is fine.")
@click.option("--revoke-old", is_flag=True, help="After a leak: revoke the replaced token now.")
@click.option("--dry-run", is_flag=True, help="Say what would happen; log in, but change nothing.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit 3 when something was changed.")
@_json
@_configured
def rotate(  # noqa: PLR0913 - one per option
    names: tuple[str, ...],
    config: Path | None,
    log_format: str,
    *,
    force: bool,
    revoke_old: bool,
    dry_run: bool,
    detailed_exitcode: bool,
    as_json: bool,
) -> int:
    """Renew the tokens that are due, and copy them to the stores that lack them.

    A token is due with less than renew_before (7 days) left, or when it is missing, broken, refused
    by the API, or of another scope than configured. The old token stays valid until it expires,
    unless retire is configured, or --revoke-old given. What an earlier run could not finish is
    finished first: mints that were cut off, hooks that failed, old tokens to be revoked.

    Exits 0 when all is well, 1 when something failed, 2 when the settings are wrong. With
    --detailed-exitcode 3 says that all is well and something was changed, or would be (--dry-run).
    """
    order = Order(force=force, dry_run=dry_run, revoke_old=revoke_old)
    found = _begin(config, log_format)
    return commands.rotate(found, names, order, detailed=detailed_exitcode, as_json=as_json)


@cli.command()
@click.argument("name", required=False, shell_complete=_begun_names)
@click.option(
    "--days", type=click.IntRange(1, 365), help="Its life [default: as configured; 90 with --show]."
)
@click.option("--eternal", is_flag=True, help="Make one that never expires.")
@click.option("--scope", help="Its scope [default: as configured, or the current one's].")
@click.option("--show", is_flag=True, help="Print the token on stdout, and store it nowhere.")
@_configured
def mint(  # noqa: PLR0913 - one per option
    name: str | None,
    days: int | None,
    scope: str | None,
    config: Path | None,
    log_format: str,
    *,
    eternal: bool,
    show: bool,
) -> int:
    """Make a token on demand, and write it to the stores of NAME.

    NAME may be left out where only one token is configured. Retirement, hooks and notices follow as
    after any rotation. With --show the token is printed instead: mind who can see your terminal and
    its log. Exits as rotate does.
    """
    if days and eternal:
        raise click.UsageError("--days and --eternal exclude each other.")
    if show and name:
        raise click.UsageError("--show stores the token nowhere, so it takes no NAME.")
    validity = timedelta(days=days) if days else None
    order = Order(force=True, eternal=eternal, validity=validity, scope=scope)
    found = _begin(config, log_format)
    if show:
        from rotator.showing import mint_shown  # noqa: PLC0415 - rarely needed

        return mint_shown(found, order)
    return commands.mint(found, name, order)


@cli.command()
@_configured
def daemon(config: Path | None, log_format: str) -> int:
    """Stay up, and renew each token when its time comes.

    Looks at every token at the start, when it becomes due, and at least once an hour. SIGTERM and
    SIGINT finish the rotation in hand and exit 0; SIGHUP reads the settings again.
    """
    from rotator.serving import serve  # noqa: PLC0415 - APScheduler costs every other command 80 ms

    configure(log_format, sys.stderr, verbose=True)
    cwd = _current_folder()
    serve(lambda: settings.load(config, os.environ, cwd), utc_now)
    return 0


@cli.command()
def demo() -> int:
    """Show the whole job in a few seconds, against an API that this program embeds.

    Needs no settings, and leaves nothing behind but a new folder, whose name it prints.
    """
    from rotator.demo import run  # noqa: PLC0415 - the embedded API is for the demo alone

    return run(sys.stdout)


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> int:
    """Print the script that completes commands, options and token names.

    \b
      bash   eval "$(rotator completion bash)"    in ~/.bashrc
      zsh    eval "$(rotator completion zsh)"     in ~/.zshrc
      fish   rotator completion fish > ~/.config/fish/completions/rotator.fish
    """  # noqa: D301 - \b is click's mark for lines that are not to be wrapped
    from click.shell_completion import get_completion_class  # noqa: PLC0415 - rarely needed

    if found := get_completion_class(shell):
        click.echo(found(cli, {}, "rotator", "_ROTATOR_COMPLETE").source())
    return 0


def _begin(path: Path | None, log_format: str) -> Settings:
    configure(log_format, sys.stderr, verbose=False)
    return _settings(path)


def _settings(path: Path | None) -> Settings:
    return settings.load(path, os.environ, _current_folder())


def _current_folder() -> Path:
    try:
        return Path.cwd()
    except OSError:
        raise ConfigError("the current folder is gone: change to another one") from None

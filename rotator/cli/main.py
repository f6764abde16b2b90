"""The command line: parse and call. Each command returns its exit status."""

import os
import sys
from datetime import timedelta
from pathlib import Path

import click

from rotator import __version__
from rotator import config as settings
from rotator.cli import commands, options
from rotator.cli.doctor import doctor
from rotator.cli.exec import BeforeProgram, Wishes, with_wishes
from rotator.cli.logs import configure
from rotator.cli.tokens import tokens
from rotator.clock import utc_now
from rotator.daemon.web import Address, with_listen
from rotator.metrics.outlets import Outlets
from rotator.rotation.fleet import Shard
from rotator.rotation.model import Order


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
@options.names
@click.option("--probe", is_flag=True, help="Also ask the API whether it accepts the token.")
@options.as_json
@options.configured
def check(
    names: tuple[str, ...], config: Path | None, log_format: str, *, probe: bool, as_json: bool
) -> int:
    """Look at the tokens and change nothing.

    Exits like a monitoring plugin: 0 fine; 1 due for renewal, or a store is behind; 2 expired,
    missing, invalid, or refused by the API; 3 cannot tell (a store or the API does not answer, or
    the settings are wrong). Of several tokens the worst counts: 2, then 3, then 1.
    """
    return commands.check(options.begin(config, log_format), names, probe=probe, as_json=as_json)


@cli.command(short_help="Renew the tokens that are due.")
@options.names
@click.option("--force", is_flag=True, help="Make a new token even where the old one is fine.")
@click.option("--revoke-old", is_flag=True, help="After a leak: revoke the replaced token now.")
@click.option("--dry-run", is_flag=True, help="Say what would happen; log in, but change nothing.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit 3 when something was changed.")
@options.shard
@options.with_outlets
@options.as_json
@options.configured
def rotate(  # noqa: PLR0913 - one per option
    names: tuple[str, ...],
    config: Path | None,
    log_format: str,
    *,
    shard: Shard | None,
    outlets: Outlets,
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
    Metrics that could not be written or pushed are a warning, and no failure.
    """
    order = Order(force=force, dry_run=dry_run, revoke_old=revoke_old)
    found = options.begin(config, log_format)
    run = commands.Run(shard, outlets, detailed=detailed_exitcode, as_json=as_json)
    return commands.rotate(found, names, order, run)


@cli.command()
@options.name
@click.option(
    "--days",
    type=click.IntRange(1, 365),
    help="Days to live [default: as configured; 90 with --show].",
)
@click.option("--eternal", is_flag=True, help="Make one that never expires.")
@click.option("--scope", help="Its scope [default: as configured, or the current one's].")
@click.option("--show", is_flag=True, help="Print the token on stdout, and store it nowhere.")
@options.configured
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
    found = options.begin(config, log_format)
    if show:
        from rotator.cli.mint import mint_shown  # noqa: PLC0415 - rarely needed

        return mint_shown(found, order)
    return commands.mint(found, name, order)


@cli.command()
@with_listen
@options.configured
def daemon(config: Path | None, log_format: str, listen: Address | None) -> int:
    """Stay up, and renew each token when its time comes.

    Looks at every token at the start, when it becomes due, and at least once an hour. SIGTERM and
    SIGINT finish the rotation in hand and exit 0; SIGHUP reads the settings again.

    With --listen it shows how the tokens are, to everybody who can reach that address: the page at
    /, /healthz and /readyz for probes, and /metrics for Prometheus.
    """
    from rotator.daemon.service import serve  # noqa: PLC0415 - APScheduler costs every other command 80 ms

    configure(log_format, sys.stderr, verbose=True)
    cwd = options.current_folder()
    serve(lambda: settings.load(config, os.environ, cwd), utc_now, listen)
    return 0


@cli.command(
    "exec", cls=BeforeProgram, short_help="Run a bot with its token; restart it on a change."
)
@options.names
@with_wishes
@options.configured
def execute(names: tuple[str, ...], config: Path | None, log_format: str, wishes: Wishes) -> int:
    """Run CMD with its service token, and restart it when the token changes.

    \b
      rotator exec -- python bot.py
      rotator exec luna-bot --file --signal HUP -- ./bot --verbose

    CMD finds the token in the variable that its first store names, NOCTURNA_SERVICE_TOKEN if that
    names none. With --file it finds the path of a file in the same with _FILE at its end; a change
    then replaces the file, and does no more unless --signal or --restart is given. To read the
    stores is all that is needed: no API and no admin, of whom CMD gets nothing either. A store may
    also be file:PATH, a file with the bare token, such as a mounted Secret.

    Exits as CMD does: with 128 + n after signal n, 127 when it is not found, 126 when it cannot be
    started. Before that, 1 says that no store has a live token, 2 that the settings are wrong.
    """  # noqa: D301 - \b is click's mark for lines that are not to be wrapped
    from rotator.exec.supervisor import run  # noqa: PLC0415 - for this command alone

    configure(log_format, sys.stderr, verbose=True)
    return run(options.load(config), names, wishes)


@cli.command("access-token")
@options.name
@click.option("--header", is_flag=True, help="Print the whole header, for curl -H @-.")
@click.option("--cache", is_flag=True, help="Keep it for other runs while it is fresh.")
@options.configured
def access_token(
    name: str | None, config: Path | None, log_format: str, *, header: bool, cache: bool
) -> int:
    """Print a fresh access token, for scripts.

    \b
      set -o pipefail
      rotator access-token --header | curl -fsS -H @- https://your-api-server.com/api/...

    Without pipefail a failure of rotator is lost, and curl calls without a token.

    The service token that the stores of NAME show is exchanged for it; NAME may be left out where
    only one is configured. To read the stores is all that is needed: no admin, and no right to
    write; one may also be file:PATH, a file with the bare token. With --cache the access token is
    kept in the user's runtime directory until its last minutes.

    Exits 1 when there is no service token, or the API does not accept it or does not answer, and 2
    when the settings are wrong.
    """  # noqa: D301 - \b is click's mark for lines that are not to be wrapped
    from rotator.cli.access_token import print_access_token  # noqa: PLC0415 - for this alone

    found = options.begin(config, log_format)
    return print_access_token(found, name, as_header=header, cached=cache)


@cli.command(short_help="See it work, against an embedded API.")
def demo() -> int:
    """Show the whole job in a few seconds, against an API that this program embeds.

    Needs no settings, and leaves nothing behind but a new folder, whose name it prints.
    """
    from rotator.cli.demo import run  # noqa: PLC0415 - the embedded API is for the demo alone

    return run(sys.stdout)


@cli.command(short_help="Print the completion script of a shell.")
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


cli.add_command(doctor)
cli.add_command(tokens)

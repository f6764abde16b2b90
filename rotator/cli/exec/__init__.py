"""`rotator exec`: runs a program with its token, and restarts or signals it when that changes.

`state_machine` decides, as a pure function; the others bring it events and take actions.
"""

import signal
from datetime import timedelta
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from rotator.cli import options
from rotator.cli.exec.state_machine import ExecOptions
from rotator.clock import parse_duration
from rotator.errors import MissingPackageError
from rotator.signals import block_stop

_PROGRAM = "program"
_LONGEST = timedelta(days=365)  # the system cannot wait for centuries


class CommandWithProgram(click.Command):
    """A command whose own arguments end at the first `--`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Set the program's arguments aside, so that none is taken for an option of ours."""
        end = args.index("--") if "--" in args else len(args)
        ctx.meta[_PROGRAM] = tuple(args[end + 1 :])
        try:
            return super().parse_args(ctx, args[:end])
        except click.NoSuchOption as error:
            if "--" in args:
                raise
            raise click.UsageError(
                f"exec: there is no option {error.option_name} here: put -- before the program, as"
                " in rotator exec -- sh -c 'echo hi'",
                ctx,
            ) from None

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "-- CMD [ARGUMENT]..."]


def _parse_span(text: str) -> timedelta:
    try:
        span = parse_duration(text)
    except ValueError as error:
        raise ValueError(f"found {text!r}, expected {error}") from None
    if span > _LONGEST:
        raise ValueError(f"found {text!r}, expected {_LONGEST.days}d at most")
    return span


def _parse_signal(text: str) -> signal.Signals:
    try:
        return signal.Signals[f"SIG{text.upper().removeprefix('SIG')}"]
    except KeyError:
        raise ValueError(f"found {text!r}, expected the name of a signal, such as HUP") from None


_span_option = partial(
    click.option, type=options.Parsed("duration", _parse_span), show_default=True
)


@options.examples(
    "rotator exec -- python bot.py",
    "rotator exec luna-bot --file --signal HUP -- ./bot --verbose",
)
@click.command(
    "exec", cls=CommandWithProgram, short_help="Run a bot with its token; restart it on a change."
)
@options.names
@click.option(
    "--env",
    multiple=True,
    metavar="[NAME=]VARIABLE",
    help="The variable, instead of the first store's.",
)
@click.option("--file", "in_file", is_flag=True, help="Give the token in a file, kept in memory.")
@click.option(
    "--signal",
    type=options.Parsed("signal", _parse_signal),
    help="With --file: on a change, send it this signal.",
)
@click.option("--restart", is_flag=True, help="With --file: on a change, restart it.")
@_span_option("--grace", default="10s", help="In a restart, the time from SIGTERM to SIGKILL.")
@_span_option("--settle", default="2s", help="Changes within this time are one.")
@_span_option("--poll", default="60s", help="How often to read the stores, give or take a fifth.")
@options.with_config(tells_events=True)
def command(names: tuple[str, ...], config: Path | None, **given: Any) -> int:  # noqa: ANN401 - whatever the options are
    """Run CMD with its service token, and restart it when the token changes.

    CMD finds the token in the variable that its first store names, NOCTURNA_SERVICE_TOKEN if that
    names none. With --file it finds the path of a file in the variable of that name with _FILE
    appended; a change then replaces the file, and does no more unless --signal or --restart is
    given. This needs the right to read the stores: no API and no admin, and CMD gets none of the
    rotator's variables but NOCTURNA_API_URL, where it is set. A store may also be file:PATH, a file
    with the bare token, such as a mounted Secret.

    Exits as CMD does: with 128 + n after signal n, 127 when it is not found, 126 when it cannot be
    started. Before that, 1 says that no store has a live token, 2 that the settings are wrong.
    """
    if find_spec("watchdog") is None:
        raise MissingPackageError(
            "rotator exec needs the package watchdog: pip install 'nocturna-rotator[exec]'"
        )
    block_stop()
    from rotator.cli.exec.supervisor import run  # noqa: PLC0415 - no signal may come while it is imported

    program = click.get_current_context().meta[_PROGRAM]
    return run(options.load(config), names, ExecOptions(program, **given))

"""`rotator exec`: runs a program with its token; its options."""

import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from pathlib import Path
from typing import Any

import click

from rotator.cli import options
from rotator.cli.logs import configure
from rotator.clock import parse_duration
from rotator.exec.state_machine import ExecOptions

_PROGRAM = "program"
_LONGEST = timedelta(days=365)  # a wait of centuries is an error to the system
Command = Callable[..., int]


class BeforeProgram(click.Command):
    """A command whose own arguments end at the first `--`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put what belongs to the program aside, so that none of it is taken for an option."""
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
        """Show the program, too."""
        return [*super().collect_usage_pieces(ctx), "-- CMD [ARGUMENT]..."]


class _Duration(click.ParamType[timedelta]):
    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        try:
            span = parse_duration(str(value))
        except ValueError as error:
            self.fail(f"found {value!r}, expected {error}", param, ctx)
        if span > _LONGEST:
            self.fail(f"found {value!r}, expected {_LONGEST.days}d at most", param, ctx)
        return span


class _SignalName(click.ParamType[signal.Signals]):
    name = "signal"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> signal.Signals:
        try:
            return signal.Signals[f"SIG{str(value).upper().removeprefix('SIG')}"]
        except KeyError:
            self.fail(f"found {value!r}, expected the name of a signal, such as HUP", param, ctx)


def with_exec_options(command: Command) -> Command:
    """Add the options, which come to the command as one `exec_options`."""

    @wraps(command)
    def bundled(**given: Any) -> int:  # noqa: ANN401 - whatever the options are
        from rotator.exec.signals import hold_back  # noqa: PLC0415 - for this command alone

        hold_back()
        program = click.get_current_context().meta[_PROGRAM]
        own = {key: given.pop(key) for key in ExecOptions._fields[1:]}
        return command(exec_options=ExecOptions(program, **own), **given)

    span = _Duration()
    every = (
        click.option(
            "--env",
            multiple=True,
            metavar="[NAME=]VARIABLE",
            help="The variable, instead of the first store's.",
        ),
        click.option(
            "--file", "in_file", is_flag=True, help="Give the token in a file, kept in memory."
        ),
        click.option(
            "--signal", type=_SignalName(), help="With --file: on a change, send it this signal."
        ),
        click.option("--restart", is_flag=True, help="With --file: on a change, restart it."),
        click.option(
            "--grace",
            type=span,
            default="10s",
            show_default=True,
            help="In a restart, the time from SIGTERM to SIGKILL.",
        ),
        click.option(
            "--settle",
            type=span,
            default="2s",
            show_default=True,
            help="Changes within this time count as one.",
        ),
        click.option(
            "--poll",
            type=span,
            default="60s",
            show_default=True,
            help="How often to look at the stores, give or take a fifth.",
        ),
    )
    for option in reversed(every):
        bundled = option(bundled)
    return bundled


@click.command(
    "exec", cls=BeforeProgram, short_help="Run a bot with its token; restart it on a change."
)
@options.names
@with_exec_options
@options.configured
def command(
    names: tuple[str, ...], config: Path | None, log_format: str, exec_options: ExecOptions
) -> int:
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
    # Imported here, after the signals are held back, which must not wait for it.
    from rotator.exec.supervisor import run  # noqa: PLC0415

    configure(log_format, sys.stderr, verbose=True)
    return run(options.load(config), names, exec_options)

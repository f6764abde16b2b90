"""What `rotator exec` takes on the command line. Imported at each start: it needs click alone."""

import signal
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any, NamedTuple

import click

from rotator.clock import parse_duration

_PROGRAM = "program"
_LONGEST = timedelta(days=365)  # a wait of centuries is an error to the system
Command = Callable[..., int]


class Wishes(NamedTuple):
    """What to run, and the options: `env` as they were given, `signal` None for no signal."""

    program: tuple[str, ...]
    env: tuple[str, ...]
    in_file: bool
    signal: signal.Signals | None
    restart: bool
    grace: timedelta
    settle: timedelta
    poll: timedelta


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


def with_wishes(command: Command) -> Command:
    """Add the options, which come to the command as one `wishes`."""

    @wraps(command)
    def bundled(**given: Any) -> int:  # noqa: ANN401 - whatever the options are
        from rotator.exec.signals import hold_back  # noqa: PLC0415 - for this command alone

        hold_back()
        program = click.get_current_context().meta[_PROGRAM]
        own = {key: given.pop(key) for key in Wishes._fields[1:]}
        return command(wishes=Wishes(program, **own), **given)

    span = _Duration()
    options = (
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
    for option in reversed(options):
        bundled = option(bundled)
    return bundled

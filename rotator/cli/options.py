"""The options that commands share, and how a command gets its settings."""

import logging
import os
import resource
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Generic, TypeVar

import click
from click.core import ParameterSource

from rotator.cli.logs import FORMATS, configure
from rotator.cli.output import Form
from rotator.config.env_file import read_env_file
from rotator.config.keys import CREDENTIALS
from rotator.config.loader import Reading, load_settings, read_settings
from rotator.config.settings import Label, Settings
from rotator.stores.port import current_folder

T = TypeVar("T")
C = TypeVar("C", bound=Callable[..., object])
Command = TypeVar("Command", bound=click.Command)


class Parsed(click.ParamType[T], Generic[T]):
    """A value whose parser says in a `ValueError` what it expected."""

    def __init__(self, name: str, parse: Callable[[str], T]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> T:
        try:
            return self._parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def parse_name(text: str) -> str:
    """Read the name of one token; raises `ValueError` for a pattern."""
    if set(text) & set("*?["):
        raise ValueError(f"found {text!r}, expected the name of one token")
    return text


def parse_label(text: str) -> Label:
    """Read `team=stars`; raises `ValueError` for anything else."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise ValueError("expected NAME=VALUE, such as team=stars")
    return Label(name, value)


def complete_name(context: click.Context, _parameter: click.Parameter, begin: str) -> list[str]:
    """Complete the name of a token; nothing where the settings are wrong."""
    settings = _load_to_complete(context)
    tokens = settings.tokens if settings else ()
    return [token.name for token in tokens if token.name.startswith(begin)]


def complete_api(context: click.Context, _parameter: click.Parameter, begin: str) -> list[str]:
    """Complete the name of an API; nothing where the settings are wrong."""
    apis = _load_to_complete(context)
    return [api.name for api in apis.apis if api.name.startswith(begin)] if apis else []


def _load_to_complete(context: click.Context) -> Settings | None:
    logging.disable()  # nor a warning
    config = context.params.get("config") or context.find_root().params.get("config")
    try:
        return load(config)
    except Exception:  # noqa: BLE001 - a shell that completes cannot show an error
        return None


def _or_before_the_command(context: click.Context, parameter: click.Parameter, value: T) -> T:
    """Return what stands before the command, such as `rotator --config FILE check`, if anything."""
    name = str(parameter.name)
    if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
        return value
    found: T = context.find_root().params.get(name, value)
    return found


_SHARED = (
    click.option(
        "--config",
        type=click.Path(path_type=Path),
        callback=_or_before_the_command,
        help="Config file [default: $ROTATOR_CONFIG, or ./rotator.toml].",
    ),
    click.option(
        "--env-file",
        type=click.Path(path_type=Path),
        callback=_or_before_the_command,
        help="Take variables from this file, too; those that are set win.",
    ),
    click.option(
        "--log-format",
        type=click.Choice(FORMATS),
        default="text",
        callback=_or_before_the_command,
        help="Format of the log on stderr.",
    ),
    click.option(
        "-v",
        "--verbose",
        is_flag=True,
        callback=_or_before_the_command,
        help="Also log each step.",
    ),
)


def shared(command: C) -> C:
    """Add the options that stand before the command or behind it."""
    for option in reversed(_SHARED):
        command = option(command)
    return command


def with_config(
    *, tells_events: bool = False
) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Add the same to a command that reads settings, which gets the `config` of them.

    Before it runs, the log is set up, and the variables of `--env-file` are in the environment.
    With `tells_events` the log has what happens in a process that stays, not warnings only.
    """

    def add(command: Callable[..., int]) -> Callable[..., int]:
        @wraps(command)
        def run(*, env_file: Path | None, log_format: str, verbose: bool, **given: object) -> int:
            configure(log_format, sys.stderr, tells_events=tells_events, tells_steps=verbose)
            if env_file:
                found = read_env_file(env_file)
                os.environ.update((k, v) for k, v in found.items() if not os.environ.get(k))
            return command(**given)

        return shared(run)

    return add


def configured(command: Callable[..., int]) -> Callable[..., int]:
    """Add the same to a command that takes settings, in the place of `config`."""

    @wraps(command)
    def run(config: Path | None, **given: object) -> int:
        settings = load(config)
        forbid_core_dump(settings)
        return command(settings, **given)

    return with_config()(run)


def examples(*lines: str) -> Callable[[Command], Command]:
    """Show calls at the end of a command's help, which tests run; they fit into 80 columns."""

    def add(command: Command) -> Command:
        shown = "".join(f"  {line}\n" for each in lines for line in each.splitlines())
        command.epilog = f"\b\nExamples:\n{shown}"
        return command

    return add


names = click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=complete_name)
name = click.argument(
    "name", required=False, type=Parsed("name", parse_name), shell_complete=complete_name
)
labels = click.option(
    "--label",
    "labels",
    multiple=True,
    type=Parsed("label", parse_label),
    metavar="NAME=VALUE",
    help="Only tokens with this label; with all of them if repeated.",
)
api = click.option(
    "--api",
    metavar="NAME",
    shell_complete=complete_api,
    help="Only this one of several APIs.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")


def result_form(command: C) -> C:
    """Add the options for the form of the results; the command gets one `Form`."""
    lines = click.option(
        "--json-lines",
        "form",
        flag_value=Form.JSON_LINES,
        type=Form,
        help="Print one JSON object per line.",
    )
    array = click.option(
        "--json",
        "form",
        flag_value=Form.JSON,
        type=Form,
        default=Form.TEXT,
        help="Print one JSON array.",
    )
    return array(lines(command))


def load(path: Path | None) -> Settings:
    """Return the settings of a file or the environment; raises `ConfigError`."""
    return load_settings(path, take_variables(), current_folder())


def read(path: Path | None) -> Reading:
    """Return the same with all mistakes."""
    return read_settings(path, take_variables(), current_folder())


def take_variables() -> dict[str, str]:
    """Return the environment, and remove the credentials in it from that of this process.

    SDKs start programs of their own, which inherit it: an exec plugin, a credential_process.
    """
    variables = dict(os.environ)
    for name in variables:
        if name.startswith(CREDENTIALS):
            del os.environ[name]
    return variables


def forbid_core_dump(settings: Settings) -> None:
    """Let no crash write a password to the disk; programs that we start inherit this limit."""
    if any(api.admin_password is not None for api in settings.apis):
        _, most = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, most))

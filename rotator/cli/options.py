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

from rotator.cli.logs import FORMATS, configure
from rotator.config.keys import CREDENTIALS
from rotator.config.loader import Reading, load_settings, read_settings
from rotator.config.settings import Settings
from rotator.stores.port import current_folder

T = TypeVar("T")


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


def complete_name(context: click.Context, _parameter: click.Parameter, begin: str) -> list[str]:
    """Complete the name of a token; nothing where the settings are wrong."""
    logging.disable()  # nor a warning
    try:
        tokens = load(context.params.get("config")).tokens
    except Exception:  # noqa: BLE001 - a shell that completes cannot show an error
        return []
    return [token.name for token in tokens if token.name.startswith(begin)]


def with_config(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options of every command that has settings."""
    with_log = click.option(
        "--log-format",
        type=click.Choice(FORMATS),
        default="text",
        help="Format of the log on stderr.",
    )
    with_file = click.option(
        "--config",
        type=click.Path(path_type=Path),
        help="Config file [default: $ROTATOR_CONFIG, or ./rotator.toml].",
    )
    return with_file(with_log(command))


def configured(command: Callable[..., int]) -> Callable[..., int]:
    """Add the same to a command that takes settings; before it runs, only warnings are logged."""

    @wraps(command)
    def run(config: Path | None, log_format: str, **given: object) -> int:
        configure(log_format, sys.stderr, verbose=False)
        settings = load(config)
        forbid_core_dump(settings)
        return command(settings, **given)

    return with_config(run)


names = click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=complete_name)
name = click.argument("name", required=False, shell_complete=complete_name)
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")


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
    if settings.api.admin_password is not None:
        _, most = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, most))

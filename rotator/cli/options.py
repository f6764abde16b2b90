"""What the commands have in common on their command line, and how they get their settings."""

import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Generic, TypeVar

import click

from rotator.cli.logs import FORMATS, configure
from rotator.config.loader import load_settings
from rotator.config.settings import Settings
from rotator.errors import ConfigError
from rotator.metrics.outlets import Outlets, parse_gateway, parse_textfile
from rotator.rotation.fleet import parse_shard

T = TypeVar("T")


class Parsed(click.ParamType[T], Generic[T]):
    """A value whose parser says in a `ValueError` what it expected."""

    def __init__(self, name: str, parse: Callable[[str], T]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> T:
        """Return what the parser makes of the value."""
        try:
            return self._parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def begun_names(context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """Complete a token's name; a config that is wrong completes nothing."""
    try:
        tokens = load(context.params.get("config")).tokens
    except Exception:  # noqa: BLE001 - a shell that completes is no place for an error
        return []
    return [token.name for token in tokens if token.name.startswith(begun)]


def configured(command: Callable[..., int]) -> Callable[..., int]:
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


names = click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=begun_names)
name = click.argument("name", required=False, shell_complete=begun_names)
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
shard = click.option(
    "--shard",
    type=Parsed("shard", parse_shard),
    metavar="INDEX/COUNT",
    help="Serve only this share of the tokens, such as 0/3.",
)


def with_outlets(command: Callable[..., int]) -> Callable[..., int]:
    """Add the ways out for metrics, which come to the command as one `outlets`."""

    @wraps(command)
    def bundled(metrics_textfile: Any, metrics_push: Any, **given: Any) -> int:  # noqa: ANN401 - click's
        return command(outlets=Outlets(metrics_textfile, metrics_push), **given)

    with_push = click.option(
        "--metrics-push",
        type=Parsed("url", parse_gateway),
        metavar="URL",
        help="Push metrics to this Pushgateway.",
    )
    with_textfile = click.option(
        "--metrics-textfile",
        type=Parsed("path", parse_textfile),
        metavar="PATH",
        help="Write metrics for node_exporter into this file *.prom.",
    )
    return with_textfile(with_push(bundled))


def begin(path: Path | None, log_format: str) -> Settings:
    """Let warnings go to stderr, and return the settings; raises `ConfigError`."""
    configure(log_format, sys.stderr, verbose=False)
    return load(path)


def load(path: Path | None) -> Settings:
    """Return the settings of a file or the environment; raises `ConfigError`."""
    return load_settings(path, os.environ, current_folder())


def current_folder() -> Path:
    """Return the current folder; raises `ConfigError` when it is gone."""
    try:
        return Path.cwd()
    except OSError:
        raise ConfigError("the current folder is gone: change to another one") from None

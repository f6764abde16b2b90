"""`rotator status`: the fleet at a glance, or the whole chain of one token."""

import json
import os
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Protocol

import click

from rotator.cli import exit_codes, options, output
from rotator.cli.config import list_lines
from rotator.cli.status.chain import Setting, StatusView
from rotator.cli.status.gather import StatusReader
from rotator.cli.status.sections import view_as_lines
from rotator.cli.tables import paint
from rotator.clock import utc_now
from rotator.config.settings import Label
from rotator.errors import MissingPackageError, MistakesError
from rotator.http.urls import parse_http_url
from rotator.wiring import requirements, selection


class Reader(Protocol):
    """Looks at tokens, itself or through a daemon."""

    def read(self) -> StatusView: ...

    def close(self) -> None: ...


def parse_daemon(text: str) -> str:
    """Read what `--listen` takes, or a URL; return the URL. Raises `ValueError`."""
    address = f"127.0.0.1:{text}" if text.isdecimal() else text
    url = parse_http_url(address if "://" in address else f"http://{address}")
    if url is None or url.username is not None or (url.port is None and "://" not in text):
        raise ValueError(
            "expected [HOST:]PORT, such as 9464 or [::1]:9464, or a URL without a user, such as"
            " https://rotator.example.com/"
        )
    return url.geturl().rstrip("/")


@options.examples("rotator status", "rotator status luna-bot --probe")
@click.command("status")
@options.name
@options.labels
@click.option("--probe", is_flag=True, help="Also ask the API whether it accepts the tokens.")
@click.option(
    "--daemon",
    type=options.Parsed("address", parse_daemon),
    metavar="[HOST:]PORT|URL",
    help="Show what the daemon knows that listens there.",
)
@click.option("--watch", is_flag=True, help="Look again and again, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@options.with_config()
def command(  # noqa: PLR0913 - one per option
    config: Path | None,
    name: str | None,
    *,
    labels: tuple[Label, ...],
    probe: bool,
    daemon: str | None,
    watch: bool,
    as_json: bool,
) -> int:
    """Show the fleet at a glance, or the whole chain of one token.

    The fleet: each token with its remaining life and next renewal, what is wrong, the stores that
    are behind, and what earlier runs left to do; the most urgent first. One token: its settings and
    where each comes from, its stores, its journal, what the API says of it, its hooks and old
    tokens, and what happens next.

    Reads the stores and changes nothing. The API is asked with --probe, or about the token that is
    named; its list of tokens needs the admin's login. With --daemon a daemon is asked instead,
    which knows when it looks again and what failed before, and no settings are needed.

    Exits 0 when all is well, 1 when a token needs attention, 2 when the settings are wrong; with
    --watch by what it saw last.
    """
    if watch and (
        as_json or not output.is_terminal() or os.environ.get("TERM") in ("dumb", "unknown")
    ):
        raise click.UsageError("--watch needs a terminal, and cannot be combined with --json")
    if watch and not output.can_draw():
        raise MissingPackageError(
            "--watch needs the package rich: pip install 'nocturna-rotator[terminal]'"
        )
    if labels and (name or daemon):
        raise click.UsageError("--label cannot be combined with NAME or --daemon")
    if daemon:
        reader = _ask_daemon(daemon, name, probe=probe)
    else:
        reader = _open(config, name, labels, probe=probe)
    try:
        view = _watch(reader) if watch else reader.read()
    finally:
        reader.close()
    if not watch:
        output.write(render(view, as_json=as_json))
    return exit_codes.OK if view.fleet.is_well else exit_codes.FAILED


def _open(
    config: Path | None, name: str | None, labels: Collection[Label], *, probe: bool
) -> Reader:
    reading = options.read(config)
    if reading.mistakes:
        raise MistakesError(reading.mistakes)
    settings = reading.settings
    options.forbid_core_dump(settings)
    names = selection.narrow(settings, [name] if name else [], labels)
    if probe:
        requirements.require_urls(settings, names)

    def describe(token: str) -> list[Setting]:
        own = {each.name: each.api or None for each in settings.tokens}[token]
        lines = (
            line
            for line in list_lines(reading)
            if line.token == token or (line.token is None and line.api in (None, own))
        )
        return [Setting(line.key, line.value, line.place) for line in lines]

    return StatusReader(
        settings, names, utc_now, with_chain=name is not None, probe=probe, describe=describe
    )


def _ask_daemon(url: str, name: str | None, *, probe: bool) -> Reader:
    from rotator.cli.status.remote import DaemonReader  # noqa: PLC0415 - HTTP, which few need

    if probe:
        raise click.UsageError("--probe cannot be combined with --daemon, which probes by itself")
    return DaemonReader(url, name)


def _watch(reader: Reader) -> StatusView:
    from rotator.cli.status.watch import watch  # noqa: PLC0415 - rich, which only a terminal needs

    view = watch(reader.read)
    if view is None:  # interrupted before the first look had ended
        raise click.Abort
    return view


def render(view: StatusView, *, as_json: bool) -> str:
    if as_json:
        return json.dumps(view.to_json(), indent=2) + "\n"
    if not output.can_draw():
        return view_as_lines(view)
    from rotator.cli.status.terminal import Painter  # noqa: PLC0415 - rich, which only a terminal needs

    return paint(lambda console: Painter(console, sys.stdout.encoding).paint(view))

"""`rotator status`: the fleet at a glance, or the whole chain of one token."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rotator import wiring
from rotator.cli import exit_codes, options, output
from rotator.cli.config import list_lines
from rotator.cli.logs import configure
from rotator.clock import utc_now
from rotator.errors import MistakesError
from rotator.status.chain import Setting, StatusView
from rotator.status.gather import StatusReader
from rotator.status.sections import chain_as_lines
from rotator.status.words import as_lines

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text


@click.command("status")
@options.name
@click.option("--probe", is_flag=True, help="Also ask the API whether it accepts the tokens.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@options.with_config
def command(
    config: Path | None, log_format: str, name: str | None, *, probe: bool, as_json: bool
) -> int:
    """Show the fleet at a glance, or the whole chain of one token.

    The fleet: each token with its remaining life and next renewal, what is wrong, the stores that
    are behind, and what earlier runs left to do; the most urgent first. One token: its settings and
    where each comes from, its stores, its journal, what the API says of it, its hooks and old
    tokens, and what happens next.

    Reads the stores and changes nothing. The API is asked with --probe, or about the token that is
    named; its list of tokens needs the admin's login.

    Exits 0 when all is well, 1 when a token needs attention, 2 when the settings are wrong.
    """
    configure(log_format, sys.stderr, verbose=False)
    reading = options.read(config)
    if reading.mistakes:
        raise MistakesError(reading.mistakes)
    settings = reading.settings
    options.forbid_core_dump(settings)
    if probe:
        wiring.require_url(settings.api)

    def describe(token: str) -> list[Setting]:
        lines = (line for line in list_lines(reading) if line.token in (None, token))
        return [Setting(line.key, line.value, line.place) for line in lines]

    reader = StatusReader(settings, name, utc_now, probe=probe, describe=describe)
    try:
        view = reader.read()
    finally:
        reader.close()
    output.write(render(view, as_json=as_json))
    return exit_codes.FAILED if view.fleet.needy else exit_codes.OK


def render(view: StatusView, *, as_json: bool) -> str:
    if as_json:
        return json.dumps(view.to_json(), indent=2) + "\n"
    fleet, chain = view
    if not output.is_terminal():
        return chain_as_lines(chain) if chain else as_lines(fleet)
    from rotator.status.terminal import Painter  # noqa: PLC0415 - rich, which only a terminal needs

    def draw(console: "Console") -> "list[Text]":
        painter = Painter(console, sys.stdout.encoding)
        return painter.paint_chain(chain, fleet) if chain else painter.paint_fleet(fleet)

    return output.paint(draw)

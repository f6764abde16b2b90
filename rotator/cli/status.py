"""`rotator status`: the fleet at a glance."""

import json
import sys
from contextlib import suppress

import click

from rotator import wiring
from rotator.cli import exit_codes, options, output
from rotator.clock import utc_now
from rotator.config.settings import Settings
from rotator.errors import MissingPackageError
from rotator.rotation.in_flight import InFlightMints
from rotator.status.gather import look_at_fleet
from rotator.status.rows import FleetStatus
from rotator.status.words import as_lines


@click.command("status")
@options.name
@click.option("--probe", is_flag=True, help="Also ask the API whether it accepts the tokens.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@options.configured
def command(settings: Settings, name: str | None, *, probe: bool, as_json: bool) -> int:
    """Show the fleet at a glance, the most urgent token first.

    Each token with its remaining life, its next renewal, what is wrong, the stores that are behind,
    and what earlier runs left to do. Reads the stores and changes nothing; what only a daemon knows
    (its plan, earlier failures) is on its page.

    Exits 0 when all is well, 1 when a token needs attention, 2 when the settings are wrong.
    """
    if probe:
        wiring.require_url(settings.api)
    with suppress(MissingPackageError):  # whoever only looks needs no apprise
        wiring.require_notices(settings)
    names = [name] if name else []
    rotations = wiring.build_rotations(settings, names, utc_now, InFlightMints())
    fleet = look_at_fleet(rotations, settings.tokens, utc_now, probe=probe)
    output.write(render(fleet, as_json=as_json))
    return exit_codes.FAILED if fleet.needy else exit_codes.OK


def render(fleet: FleetStatus, *, as_json: bool) -> str:
    if as_json:
        return json.dumps(fleet.to_json(), indent=2) + "\n"
    if not output.is_terminal():
        return as_lines(fleet)
    encoding = sys.stdout.encoding
    from rotator.status.terminal import Painter  # noqa: PLC0415 - rich, which only a terminal needs

    return output.paint(lambda console: Painter(console, encoding).paint_fleet(fleet))

"""`rotator check`: a monitoring plugin."""

from contextlib import suppress

import click

from rotator import wiring
from rotator.cli import exit_codes, options, output
from rotator.clock import utc_now
from rotator.config.settings import Settings
from rotator.errors import MissingPackageError
from rotator.rotation.fleet import run_fleet
from rotator.rotation.in_flight import InFlightMints


@click.command("check")
@options.names
@click.option("--probe", is_flag=True, help="Also ask the API whether it accepts the token.")
@options.as_json
@options.configured
def command(settings: Settings, names: tuple[str, ...], *, probe: bool, as_json: bool) -> int:
    """Look at the tokens and change nothing.

    Exits like a monitoring plugin: 0 fine; 1 due, a store is behind, or an old token in use is
    revoked within a day; 2 expired, missing, invalid, or refused by the API; 3 unknown, as a
    store or the API does not answer, or the settings are wrong. Of several tokens the worst
    counts: 2, then 3, then 1.
    """
    if probe:
        wiring.require_url(settings.api)
    with suppress(MissingPackageError):  # whoever only looks needs no apprise
        wiring.require_notices(settings)
    rotations = wiring.build_rotations(settings, names, utc_now, InFlightMints())
    reports = run_fleet(rotations, lambda rotation: rotation.check(probe=probe))
    output.show_results(reports, in_json=as_json)
    return exit_codes.check_exit_code(reports)

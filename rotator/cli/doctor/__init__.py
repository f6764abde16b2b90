"""`rotator doctor`: finds what would break a rotation before one is due.

`gather` reads and asks, `checks` judges what it found, and `findings` says it.
"""

import os
import sys
from collections.abc import Sequence

import click

from rotator.cli import exit_codes, logs, options, output
from rotator.cli.doctor.findings import Finding, Result, Topic, as_lines
from rotator.clock import utc_now
from rotator.config.settings import Label, Settings
from rotator.wiring import selection


@options.examples("rotator doctor", "rotator doctor luna-bot --json")
@click.command("doctor")
@options.names
@options.labels
@options.as_json
@options.configured
def command(
    settings: Settings, names: tuple[str, ...], *, labels: tuple[Label, ...], as_json: bool
) -> int:
    """Find what would break a rotation, before one is due.

    Checks the settings and hooks, the right to restart workloads, the API, the admin's login and
    rights, the clock, each store and the right to write it, each token and whether the API accepts
    it, and what earlier runs left unfinished; without NAME and --label also whether the API has
    live tokens that no store holds. Changes nothing, but rehearses a rotation where
    rehearse = true, and removes what a killed rehearsal left.

    Exits 0 without a problem, warnings or not; 1 with a problem; 2 when the settings are wrong.
    """
    from rotator.cli.doctor.checks import OPEN_TO_ALL  # noqa: PLC0415 - a help needs click alone
    from rotator.cli.doctor.gather import examine  # noqa: PLC0415 - the same

    logs.leave_out(OPEN_TO_ALL)  # which stores warn of, and a finding tells
    chosen = selection.narrow(settings, names, labels)
    found = examine(settings, chosen, utc_now, os.environ)
    encoding = sys.stdout.encoding if sys.stdout is not None else None
    if as_json:
        output.write(output.as_json(found))
    else:
        output.write_lines(as_lines(found, encoding))
    return exit_code(found)


def exit_code(found: Sequence[Finding]) -> int:
    """Return 2 when the settings are wrong, 1 for any other problem, else 0."""
    problems = {finding.topic for finding in found if finding.result is Result.PROBLEM}
    if Topic.SETTINGS in problems:
        return exit_codes.USAGE
    return exit_codes.FAILED if problems else exit_codes.OK

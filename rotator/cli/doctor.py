"""The command line of `rotator doctor`."""

import os
import sys
from pathlib import Path

import click

from rotator.cli import options
from rotator.clock import utc_now


@click.command()
@options.names
@options.as_json
@options.configured
def doctor(names: tuple[str, ...], config: Path | None, log_format: str, *, as_json: bool) -> int:
    """Find what would break a rotation, before one is due.

    Looks at the settings and hooks, the right to restart workloads, the API, the admin's login and
    rights, the clock, each store with the right to write it, each token with the API's word on it,
    and what earlier runs left undone; without NAME also for live tokens of the API that no store
    holds. Changes nothing.

    Exits 0 when there is no problem, be there warnings or not; 1 when there is one; 2 when the
    settings are wrong.
    """
    from rotator.cli import output  # noqa: PLC0415 - (the same)
    from rotator.doctor import findings  # noqa: PLC0415 - for this command alone
    from rotator.doctor.checks import examine  # noqa: PLC0415 - (the same)

    found = examine(options.begin(config, log_format), names, utc_now, os.environ)
    encoding = sys.stdout.encoding if sys.stdout is not None else None
    output.write(findings.as_json(found) if as_json else findings.as_lines(found, encoding))
    return findings.exit_status(found)

"""`rotator check`: a monitoring plugin."""

from contextlib import suppress

import click

from rotator import wiring
from rotator.cli import exit_codes, options, output
from rotator.cli.summary import is_fine, summarize_check, summarize_for_monitoring
from rotator.clock import utc_now
from rotator.config.settings import Label, Settings
from rotator.errors import MissingPackageError
from rotator.rotation.fleet import run_fleet
from rotator.wiring import requirements, selection


@options.examples("rotator check --problems", "rotator check luna-bot --probe --json")
@click.command("check")
@options.names
@options.labels
@click.option("--probe", is_flag=True, help="Also ask the API whether it accepts the token.")
@click.option("--problems", is_flag=True, help="Show only what is not fine.")
@click.option("--summary", is_flag=True, help="Print one line about all, as for Nagios.")
@options.result_form
@options.configured
def command(  # noqa: PLR0913 - one per option
    settings: Settings,
    names: tuple[str, ...],
    *,
    labels: tuple[Label, ...],
    probe: bool,
    problems: bool,
    summary: bool,
    form: output.Form,
) -> int:
    """Look at the tokens and change nothing.

    Exits like a monitoring plugin: 0 fine; 1 due, a store is behind, or an old token in use is
    revoked within a day; 2 expired, missing, invalid, or refused by the API; 3 unknown, as a
    store or the API does not answer, or the settings are wrong. Of several tokens the worst
    counts: 2, then 3, then 1. Only --probe finds out that a token was revoked.
    """
    if summary and form is not output.Form.TEXT:
        raise click.UsageError(f"--summary and --{form} exclude each other.")
    with suppress(MissingPackageError):  # whoever only looks needs no apprise
        requirements.require_notices(settings)
    chosen = selection.choose(settings, names, labels)
    if probe:
        requirements.require_urls(settings, chosen)
    rotations = wiring.build_rotations(settings, chosen, utc_now)
    reports = run_fleet(rotations, lambda rotation: rotation.check(probe=probe))
    margins = {rotation.name: rotation.renew_before for rotation in rotations}
    if summary:
        output.write(f"{summarize_for_monitoring(reports, margins)}\n")
        return exit_codes.check_exit_code(reports)
    if output.is_terminal():
        last = summarize_check(reports)
    else:
        last = summarize_for_monitoring(reports, margins)
    shown = [report for report in reports if not (problems and is_fine(report))]
    output.show_results(shown, form, last if len(reports) > 1 else "")
    return exit_codes.check_exit_code(reports)

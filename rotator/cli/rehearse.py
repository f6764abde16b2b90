"""`rotator rehearse`: a whole rotation with a canary, which leaves nothing."""

import logging

import click

from rotator import wiring
from rotator.audit import token_field
from rotator.cli import exit_codes, options, output
from rotator.clock import utc_now
from rotator.config.settings import Label, Settings
from rotator.errors import one_line
from rotator.rotation.rehearsal import Rehearsal
from rotator.rotation.rehearsal_report import RehearsalReport
from rotator.rotation.threads import map_in_threads
from rotator.signals import stop_requests
from rotator.wiring import requirements, selection

_log = logging.getLogger(__name__)


@options.examples("rotator rehearse", "rotator rehearse luna-bot --hooks")
@click.command("rehearse", short_help="Rehearse a rotation, and leave nothing.")
@options.names
@options.labels
@click.option("--hooks", is_flag=True, help="Also try hooks, restarts and notices.")
@options.as_json
@options.configured
def command(
    settings: Settings,
    names: tuple[str, ...],
    *,
    labels: tuple[Label, ...],
    hooks: bool,
    as_json: bool,
) -> int:
    """Rehearse a whole rotation with a token of one day, and leave nothing.

    This canary is minted, verified, written to each store beside the token, read back, exchanged,
    revoked, and removed. The token, which bots use, stays as it is. So it shows today what would
    keep a rotation from working when it is due: a password, a right, a mount, a policy.

    With --hooks also the commands run, with ROTATOR_REHEARSAL=1 in their environment; restarts are
    a dry run at the server, and notices say that they are a test.

    A rehearsal that is killed leaves nothing either: the next rehearse, rotate or doctor removes
    the rest. Exits 0 when all works, 1 when something failed, 2 when the settings are wrong.
    """
    requirements.require_rotation(settings)
    contexts = wiring.build_contexts(settings, utc_now)
    selected = wiring.open_selected(settings, selection.choose(settings, names, labels))
    rehearsals = [Rehearsal(token, stores, contexts[token.api]) for token, stores in selected]
    with stop_requests() as stopped, output.progress_bar(len(rehearsals)) as advance:

        def act(rehearsal: Rehearsal) -> RehearsalReport:
            try:
                return rehearsal.stop() if stopped() else rehearsal.run(with_hooks=hooks)
            finally:
                advance()

        reports = map_in_threads(act, rehearsals)
        for context in contexts.values():
            context.api.log_out()
    if as_json:
        output.write(output.as_json(reports))
    else:  # a failure is logged instead
        output.write_lines(one_line(report.summary) for report in reports if not report.error)
    for report in reports:
        if report.error:
            _log.error("%s: %s", report.name, report.error, extra=token_field(report.name))
    return exit_codes.FAILED if any(report.error for report in reports) else exit_codes.OK

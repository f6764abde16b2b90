"""`rotator report`: evidence for an audit."""

import json
import logging
from datetime import timedelta

import click

from rotator.cli import exit_codes, options, output
from rotator.cli.report.evidence import gather
from rotator.cli.report.formats import as_csv, as_markdown
from rotator.cli.report.policy import RuleState
from rotator.clock import parse_duration, utc_now
from rotator.config.settings import Label, Settings
from rotator.wiring import selection

_log = logging.getLogger(__name__)


@options.examples("rotator report > report.md", "rotator report luna-bot --unused 30d --csv")
@click.command("report", short_help="Prove the policy of the tokens, for an audit.")
@options.names
@options.labels
@click.option(
    "--unused",
    type=options.Parsed("duration", parse_duration),
    metavar="DURATION",
    default="90d",
    show_default=True,
    help="List a token that was not used for this long.",
)
@options.api
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--csv", "in_csv", is_flag=True, help="Print CSV.")
@options.configured
def command(  # noqa: PLR0913 - one per option
    settings: Settings,
    names: tuple[str, ...],
    *,
    labels: tuple[Label, ...],
    unused: timedelta,
    api: str | None,
    as_json: bool,
    in_csv: bool,
) -> int:
    """Prove that the tokens are kept as the policy asks for.

    Shows the age, the last rotation and the remaining life of each token, and whether its policy is
    kept: renewed in time, not too old (max_age), not eternal (allow_eternal = false), in every
    store, nothing left undone, old tokens retired, and nobody who still uses one. Also lists the
    tokens of the admin account that are eternal, orphans, expired or unused. Prints Markdown unless
    told otherwise; changes nothing, and exchanges no token.

    Exits 0 when every policy is kept, 1 when one is broken or cannot be proven, 2 when the settings
    are wrong.
    """
    if as_json and in_csv:
        raise click.UsageError("expected --json or --csv, not both")
    chosen = selection.narrow(settings, names, labels)
    evidence = gather(settings, chosen, unused, utc_now, api)
    if as_json:
        output.write(json.dumps(evidence.to_json(), indent=2) + "\n")
    else:
        output.write(as_csv(evidence) if in_csv else as_markdown(evidence))
    for trouble in evidence.troubles if in_csv else ():  # CSV has no place for them
        _log.warning("%s", trouble)
    return exit_codes.OK if evidence.state is RuleState.KEPT else exit_codes.FAILED

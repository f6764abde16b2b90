"""`rotator leaked`: says what leaked, does what is to be done about it, and keeps a record."""

import json
import logging
import shlex
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path

import click

from rotator.cli import exit_codes, options, output
from rotator.cli.leaked.assessment import Assessment, Order
from rotator.cli.leaked.emergency import Emergency, Search
from rotator.cli.leaked.markdown import TITLE, as_section, describe_found, describe_found_before
from rotator.cli.leaked.record import IncidentRecord, RunState
from rotator.cli.leaked.report_file import ReportFile
from rotator.cli.leaked.response import RecordKeeper, respond
from rotator.cli.markdown import describe_listed
from rotator.cli.summary import sort_by_urgency
from rotator.cli.tables import wrap
from rotator.clock import minute, parse_duration, rfc3339_or_none, utc_now
from rotator.config.settings import Settings
from rotator.errors import ConfigError, RotatorError
from rotator.signals import stop_requests
from rotator.wiring import requirements, selection

_MOST_SHOWN = 20  # tokens, before somebody is asked
_log = logging.getLogger(__name__)


def parse_since(text: str) -> datetime:
    """Read a date or time, in UTC unless it names a zone, or how long ago it was (`30d`).

    Raises `ValueError` for anything else, and for a time that is yet to come.
    """
    now = utc_now()
    try:
        return now - parse_duration(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = now
    moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment >= now:
        raise ValueError(
            f"found {text!r}, expected a time that is over, such as 2026-11-23,"
            " 2026-11-23T09:12:33Z, or 30d for 30 days ago"
        )
    return moment


@options.examples(
    "rotator leaked luna-bot --report incident.md",
    "rotator leaked --all --yes --json > incident.json",
)
@click.command("leaked", short_help="After a leak: replace and revoke what leaked.")
@options.names
@click.option("--all", "is_all", is_flag=True, help="All tokens of the config leaked.")
@options.api
@click.option(
    "--since",
    type=options.Parsed("time", parse_since),
    metavar="TIME",
    help="List what was made since then [default: since the leaked token was made].",
)
@click.option("--revoke-found", is_flag=True, help="Revoke what is listed, too.")
@click.option("--again", is_flag=True, help="Also replace what replaced a leaked token just now.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--report",
    "path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write a report for the incident ticket, in Markdown.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@options.configured
def command(  # noqa: PLR0913 - one per option
    settings: Settings,
    names: tuple[str, ...],
    *,
    is_all: bool,
    api: str | None,
    since: datetime | None,
    revoke_found: bool,
    again: bool,
    yes: bool,
    path: Path | None,
    as_json: bool,
) -> int:
    """Replace tokens that leaked, revoke them, and tell what is left to do.

    Says what it is going to do, and asks. Then the tokens NAME, and all that show the same token,
    get new ones, and the old ones are revoked. A leaked token has the rights of its admin: what
    that account has made since, and no store holds, is listed, and revoked with --revoke-found. As
    a direct bearer a leaked token works until it expires; only a new signing key of the API ends
    that.

    Whatever interrupts it, the same command goes on where it stopped. What it has minted is not
    replaced once more within an hour, nor before all is revoked, unless --again is given.

    Exits 0 when all is done, and nothing is alive that may come of the leak; 3 when all is done,
    but people have to decide about tokens that no store holds, or an earlier run is not settled
    yet; 1 when something is left to be done; 2 when the call or the settings are wrong, or nobody
    could be asked.
    """
    if bool(names) == is_all:
        raise click.UsageError("expected either NAME or --all")
    emergency = Emergency(settings, names, Order(since, again), utc_now, api=api)
    if not yes and not output.can_ask():
        raise ConfigError(
            "nothing was done: there is no terminal on which this could be confirmed; add --yes to"
            " go on without"
        )
    file = ReportFile(path) if path else None
    record = IncidentRecord(
        _repeat(since),
        requirements.require_url(emergency.api),
        utc_now(),
        revoke_found=revoke_found,
    )
    keeper = RecordKeeper(record, file, utc_now)
    try:
        record.assessments, before = emergency.examine()
    except ConfigError:
        raise
    except RotatorError as error:
        record.troubles.append(f"{error}; nothing was done: run the same command again")
        record.end(utc_now())
        keeper.write()
        _show(record, keeper, as_json=as_json)
        return exit_codes.FAILED
    record.account = emergency.account
    record.take_first_look(before)
    if not yes:
        named = [token.name for token in selection.select(settings, names)] if names else []
        plan = _plan(record.assessments, before, named, revoke_found=revoke_found)
        click.echo("\n".join(map(wrap, plan)), err=True)
        if not click.confirm("Go on?", err=True):
            emergency.log_out()
            _log.error("nothing was done")
            return exit_codes.FAILED
    with (
        stop_requests() as stopped,
        output.progress_bar(len(record.assessments)) as advance,
    ):
        respond(emergency, keeper, stopped=stopped, advance=advance)
    _show(record, keeper, as_json=as_json)
    if record.state is not RunState.DONE or keeper.failure:
        return exit_codes.FAILED
    return exit_codes.TO_DECIDE if record.left or record.unsettled else exit_codes.OK


def _repeat(since: datetime | None) -> str:
    """Return the command as it was given, with the time that `--since` meant."""
    given = click.get_current_context().params
    words = ["rotator", "leaked", *given["names"]]
    for name, value in (
        ("--config", given["config"]),
        ("--env-file", given["env_file"]),
        ("--api", given["api"]),
        ("--since", rfc3339_or_none(since)),
        ("--report", given["path"]),
    ):
        words += [name, str(value)] if value else []
    for flag, is_given in (
        ("--all", given["is_all"]),
        ("--again", given["again"]),
        ("--revoke-found", given["revoke_found"]),
        ("--yes", given["yes"]),
    ):
        words += [flag] if is_given else []
    return shlex.join(words)


def _plan(
    assessments: Collection[Assessment],
    before: Search,
    names: Collection[str],
    *,
    revoke_found: bool,
) -> Iterator[str]:
    """Say what is going to be done."""
    yield "What leaked is replaced in all stores of these tokens, and revoked; their hooks run:"
    for each in list(assessments)[:_MOST_SHOWN]:
        joined = " (not named, but it shows the same token)" if each.name not in names else ""
        yield f"  {each.name}{joined if names else ''}:"
        if each.answer and each.answered_at:
            yield (
                f"    {each.answer.name} was minted {minute(each.answered_at)} for this leak, and"
                " is not replaced again (--again replaces it)"
            )
        for leaked in each.leaked:
            shown = f"in {', '.join(leaked.stores)}" if leaked.stores else "replaced before"
            yield f"    {leaked.token_id}, {shown}"
        if each.is_unknown:
            yield "    no store and no journal knows what leaked"
    if (more := len(assessments) - _MOST_SHOWN) > 0:
        yield f"  and {more} more"
    fate = "revoked" if revoke_found else "listed, and not revoked (--revoke-found revokes them)"
    count = "not known" if before.alive is None else len(before.found) or "none"
    yield f"Tokens that no store holds, made since {minute(before.since)}, are {fate}: {count}"
    rows = [each.row for each in before.found[:_MOST_SHOWN]]
    yield from (f"  {row.token_id}: {describe_listed(row)}" for row in rows)
    if (more := len(before.found) - _MOST_SHOWN) > 0:
        yield f"  and {more} more"
    yield from (f"Not known: {trouble}" for trouble in before.troubles)


def _show(record: IncidentRecord, keeper: RecordKeeper, *, as_json: bool) -> None:
    """Show what the run came to."""
    reports = list(record.reports.values())
    output.log_failures(reports)
    if as_json:
        output.write(json.dumps(record.to_json(), indent=2) + "\n", output.AFTERWARDS)
    else:
        lines = output.as_lines(sort_by_urgency(reports))
        lines += [describe_found(record, each) for each in record.found]
        lines += describe_found_before(record)
        if reports:
            lines += [f"{n}. {text}" for n, text in enumerate(record.open_questions(), 1)]
        output.write_lines(lines, output.AFTERWARDS)
    for task in record.other_tasks():
        _log.error("%s", task)
    if keeper.failure:
        _log.error("the report could not be written (%s); it is on stdout", keeper.failure)
        if not as_json:
            output.write(f"{TITLE}\n{as_section(record)}", output.AFTERWARDS)

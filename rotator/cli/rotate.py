"""`rotator rotate`: one run over the fleet."""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import click

from rotator import wiring
from rotator.cli import exit_codes, options, output
from rotator.cli.summary import summarize_run
from rotator.clock import parse_duration, utc_now
from rotator.config.settings import Label, Settings
from rotator.metrics.outlets import Gateway, Outlets, parse_gateway, parse_textfile
from rotator.rotation.fleet import (
    choose_to_wait,
    find_shared,
    finish_together,
    notify_failures,
    run_fleet,
)
from rotator.rotation.model import Action
from rotator.rotation.policy import RotateOptions
from rotator.rotation.report import Report
from rotator.rotation.retry import NO_PATIENCE, Patience
from rotator.rotation.rotation import Rotation
from rotator.rotation.severity import FOUR_A_DAY, RetrySchedule, runs_every, with_severity
from rotator.rotation.shards import Shard, parse_shard, tokens_of_shard
from rotator.signals import stop_requests
from rotator.wiring import requirements, selection

# Kinds of failures that are the API's, and would be those of its other tokens as well.
_OF_API = frozenset({"api-unreachable", "api-fault", "login-refused", "not-admin"})
_MOST_TRIED = 3  # tokens that fail so, after which the others of that API wait for a later run
_log = logging.getLogger(__name__)

Look = tuple[Rotation, Report]
Spans = Mapping[str, tuple[datetime, datetime]]


@options.examples("rotator rotate --dry-run", "rotator rotate luna-bot --force")
@click.command("rotate", short_help="Renew the tokens that are due.")
@options.names
@options.labels
@click.option("--all", "is_all", is_flag=True, help="All tokens, with --force without asking.")
@click.option("--force", is_flag=True, help="Mint a new token even if the old one is not due.")
@click.option("--revoke-old", is_flag=True, help="After a leak: revoke the replaced tokens now.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Change nothing; say what would happen. Logs in only if it would mint.",
)
@click.option("--detailed-exitcode", is_flag=True, help="Exit 3 when something was changed.")
@click.option(
    "--shard",
    type=options.Parsed("shard", parse_shard),
    metavar="INDEX/COUNT",
    help="Serve only this share of the tokens, such as 0/3.",
)
@click.option(
    "--retry-for",
    type=options.Parsed("duration", parse_duration),
    metavar="DURATION",
    help="Wait up to this long, such as 10m, for an API or a store that does not answer.",
)
@click.option(
    "--interval",
    type=options.Parsed("duration", runs_every),
    metavar="DURATION",
    help="Time between two runs, to count attempts left [default: 6h].",
)
@click.option(
    "--metrics-textfile",
    type=options.Parsed("path", parse_textfile),
    metavar="PATH",
    help="Write metrics for node_exporter to this file *.prom.",
)
@click.option(
    "--metrics-push",
    type=options.Parsed("url", parse_gateway),
    metavar="URL",
    help="Push metrics to this Pushgateway.",
)
@options.result_form
@options.configured
def command(  # noqa: PLR0913 - one per option
    settings: Settings,
    names: tuple[str, ...],
    *,
    labels: tuple[Label, ...],
    is_all: bool,
    shard: Shard | None,
    retry_for: timedelta | None,
    interval: RetrySchedule | None,
    metrics_textfile: Path | None,
    metrics_push: Gateway | None,
    force: bool,
    revoke_old: bool,
    dry_run: bool,
    detailed_exitcode: bool,
    form: output.Form,
) -> int:
    """Renew the tokens that are due, and copy them to the stores that are behind.

    A token is due with less than renew_before (7 days) left, or when it is missing, broken, refused
    by the API, or has another scope than configured. The old token stays valid until it expires,
    unless retire or --revoke-old says otherwise. A run first finishes what earlier runs could not:
    mints that were cut off, hooks that failed, old tokens to be revoked.

    Exits 0 when all is well, 1 when something failed, 2 when the settings are wrong; with
    --detailed-exitcode 3 when all is well and something was changed, or would be (--dry-run).
    Metrics that cannot be written or pushed are only a warning.
    """
    if is_all and (names or labels):
        raise click.UsageError("--all excludes NAME and --label.")
    outlets = Outlets(metrics_textfile, metrics_push)
    outlets.require()
    # All mistakes of the settings, before anything is done. No store is read, and no API is called:
    # each rotation does so when it needs to.
    requirements.require_rotation(settings)
    chosen = selection.choose(settings, names, labels)
    rotations = wiring.build_rotations(settings, chosen, utc_now)
    if shard is not None:
        own = set(tokens_of_shard((rotation.name for rotation in rotations), *shard))
        rotations = [rotation for rotation in rotations if rotation.name in own]
    if force and not (dry_run or is_all or names or labels) and not _is_confirmed(len(rotations)):
        return exit_codes.FAILED
    wanted = RotateOptions(force=force, dry_run=dry_run, revoke_old=revoke_old)
    patience = Patience(retry_for or timedelta())
    reports, spans = run_rotations(rotations, wanted, patience, interval or FOUR_A_DAY)
    try:
        # A table on a terminal, a line for each token elsewhere, or JSON; failures go to the log.
        output.show_results(reports, form, _summarize(reports, shard))
        if revoke_old:
            output.log_leak_steps(reports)
    finally:
        if outlets and not dry_run:
            from rotator.metrics.exposition import labels_of  # noqa: PLC0415 - few want metrics
            from rotator.metrics.publish import publish  # noqa: PLC0415 - (the same)

            publish(outlets, reports, spans, labels_of(settings.tokens), utc_now)
    # `__main__` exits with it. An error that ends the command becomes a line there, and 1, or 2 for
    # settings and usage.
    return exit_code_of(reports, detailed=detailed_exitcode)


def exit_code_of(reports: Collection[Report], *, detailed: bool) -> int:
    """Return 1 when something failed, else 0, or 3 if `detailed` and something was changed."""
    if any(report.has_failed for report in reports):
        return exit_codes.FAILED
    has_changes = detailed and any(report.has_changes for report in reports)
    return exit_codes.ROTATED if has_changes else exit_codes.OK


def _summarize(reports: Sequence[Report], shard: Shard | None) -> str:
    if not reports:
        return f"no token belongs to the shard {shard}"
    return summarize_run(reports) if len(reports) > 1 else ""


def _is_confirmed(count: int) -> bool:
    """Ask at a terminal whether several tokens are to be replaced that nobody has named."""
    if count <= 1 or not output.can_ask():
        return True
    click.echo(f"--force replaces all {count} tokens, due or not (--all does not ask)", err=True)
    if click.confirm("Go on?", err=True):
        return True
    _log.error("nothing was done")
    return False


def _look_at_bounded(rotations: Sequence[Rotation], wanted: RotateOptions) -> list[Look]:
    """Look at the tokens with `at_most`, of which some may have to wait for a later run."""
    bounded = [rotation for rotation in rotations if rotation.at_most]
    if wanted.force or not bounded:
        return []
    looks = run_fleet(bounded, lambda rotation: rotation.check(probe=False))
    return [*zip(bounded, looks, strict=True)]


def _find_turn(
    looks: Sequence[Look], waiting: frozenset[str], found: Sequence[Report]
) -> frozenset[str]:
    """Return which of those that wait are to be renewed in the place of those that failed.

    In an outage they would fail one after the other, each after a long wait: those of an API that
    does not work stay where they are, and keep none of another API waiting either.
    """
    failed = {report.name: report for report in found if report.action is Action.FAILED}
    faults = Counter(report.api for report in failed.values() if report.failure in _OF_API)
    left = [
        (rotation, report)
        for rotation, report in looks
        if rotation.name not in failed
        and not (rotation.name in waiting and faults[rotation.api] >= _MOST_TRIED)
    ]
    names = {rotation.name for rotation, _ in left}
    return waiting & names - choose_to_wait(left)


def run_rotations(
    rotations: Sequence[Rotation],
    wanted: RotateOptions,
    patience: Patience = NO_PATIENCE,
    schedule: RetrySchedule = FOUR_A_DAY,
) -> tuple[list[Report], Spans]:
    """Rotate until a signal asks to stop, and send notices of failures.

    Returns a report for each, and by name when the tokens were begun and done.
    """
    spans: dict[str, tuple[datetime, datetime]] = {}
    wanted = replace(wanted, shared=find_shared(rotations))
    wanted_of = {rotation.name: wanted for rotation in rotations}

    def act(rotation: Rotation) -> Report:
        begun = utc_now()
        try:
            return rotation.rotate(wanted_of[rotation.name])
        finally:
            spans[rotation.name] = (begun, utc_now())

    def run(
        rotations: Sequence[Rotation], advance: Callable[[], None] = lambda: None
    ) -> list[Report]:
        # Side by side; a bug in `act` becomes a failed report, so that the other tokens go on.
        found = run_fleet(rotations, act, stopped=stopped, advance=advance)
        # `act` does not run hooks that several tokens share: they run here, once each, and then
        # these tokens take their last steps. Their reports replace the first ones.
        finished = finish_together(rotations)
        return [finished.get(report.name, report) for report in found]

    def again(failed: Sequence[tuple[Rotation, Report]]) -> list[Report]:
        for rotation, report in failed:
            if report.action is not Action.FAILED:  # what was forced is done
                wanted_of[rotation.name] = replace(wanted, force=False)
        return run([rotation for rotation, _ in failed])

    with stop_requests() as stopped, output.progress_bar(len(rotations)) as advance:
        looks = _look_at_bounded(rotations, wanted)
        waiting = choose_to_wait(looks)
        for name in waiting:
            wanted_of[name] = replace(wanted, hold_back=True)
        found = run(rotations, advance)
        found = patience.retry(rotations, found, again, stopped)
        while not stopped() and (turn := _find_turn(looks, waiting, found)):
            waiting -= turn
            wanted_of |= dict.fromkeys(turn, wanted)
            later = run([rotation for rotation in rotations if rotation.name in turn])
            by_name = {report.name: report for report in later}
            found = [by_name.get(report.name, report) for report in found]
        pairs = [
            (rotation, with_severity(report, rotation.renew_before, schedule))
            for rotation, report in zip(rotations, found, strict=True)
        ]
        if not wanted.dry_run:
            notify_failures(pairs)
        for rotation in rotations:  # those of one API share a session, which ends once
            rotation.log_out()
    return [report for _, report in pairs], spans

"""`rotator rotate`: one run over the fleet."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import click

from rotator import wiring
from rotator.cli import exit_codes, options, output
from rotator.clock import utc_now
from rotator.config.settings import Settings
from rotator.exec.signals import stop_requests
from rotator.metrics.outlets import Outlets, Stopwatch
from rotator.rotation.fleet import Shard, run_fleet, tokens_of_shard
from rotator.rotation.in_flight import InFlightMints
from rotator.rotation.model import RotateOptions
from rotator.rotation.rotation import Rotation
from rotator.rotation.severity import DAILY, notify_failures, with_severity


class RunOptions(NamedTuple):
    """Which tokens a run serves, and how it tells what it did; None is the whole fleet."""

    shard: Shard | None = None
    outlets: Outlets = Outlets()
    detailed: bool = False
    as_json: bool = False

    def select(self, rotations: Sequence[Rotation]) -> list[Rotation]:
        """Return those of this shard; all stores of the config are looked at all the same."""
        if self.shard is None:
            return list(rotations)
        mine = set(tokens_of_shard((rotation.name for rotation in rotations), *self.shard))
        return [rotation for rotation in rotations if rotation.name in mine]


_PLAIN = RunOptions()


@click.command("rotate", short_help="Renew the tokens that are due.")
@options.names
@click.option("--force", is_flag=True, help="Make a new token even where the old one is fine.")
@click.option("--revoke-old", is_flag=True, help="After a leak: revoke the replaced token now.")
@click.option("--dry-run", is_flag=True, help="Say what would happen; log in, but change nothing.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit 3 when something was changed.")
@options.shard
@options.with_outlets
@options.as_json
@options.configured
def command(  # noqa: PLR0913 - one per option
    names: tuple[str, ...],
    config: Path | None,
    log_format: str,
    *,
    shard: Shard | None,
    outlets: Outlets,
    force: bool,
    revoke_old: bool,
    dry_run: bool,
    detailed_exitcode: bool,
    as_json: bool,
) -> int:
    """Renew the tokens that are due, and copy them to the stores that lack them.

    A token is due with less than renew_before (7 days) left, or when it is missing, broken, refused
    by the API, or of another scope than configured. The old token stays valid until it expires,
    unless retire is configured, or --revoke-old given. What an earlier run could not finish is
    finished first: mints that were cut off, hooks that failed, old tokens to be revoked.

    Exits 0 when all is well, 1 when something failed, 2 when the settings are wrong. With
    --detailed-exitcode 3 says that all is well and something was changed, or would be (--dry-run).
    Metrics that could not be written or pushed are a warning, and no failure.
    """
    settings = options.begin(config, log_format)
    wanted = RotateOptions(force=force, dry_run=dry_run, revoke_old=revoke_old)
    run = RunOptions(shard, outlets, detailed=detailed_exitcode, as_json=as_json)
    return rotate(settings, names, wanted, run)


def rotate(
    settings: Settings, names: Sequence[str], wanted: RotateOptions, run: RunOptions = _PLAIN
) -> int:
    """Renew the tokens that need it."""
    run.outlets.require()
    wiring.require_login(settings.api)
    wiring.require_notices(settings)
    wiring.require_restarts(settings)
    rotations = run.select(wiring.build_rotations(settings, names, utc_now, InFlightMints()))
    watch = Stopwatch(utc_now)
    act = watch.measure(lambda rotation: rotation.rotate(wanted))
    with stop_requests() as stopped, output.ProgressBar(len(rotations), sys.stderr) as bar:
        found = run_fleet(rotations, act, stopped=stopped, advance=bar.advance)
        pairs = zip(rotations, found, strict=True)
        reports = [
            with_severity(report, rotation.renew_before, DAILY) for rotation, report in pairs
        ]
        if not wanted.dry_run:
            notify_failures(list(zip(rotations, reports, strict=True)))
    try:
        output.show_results(
            reports, as_json=run.as_json, none=f"no token belongs to the shard {run.shard}"
        )
        if wanted.revoke_old:
            output.log_leak_steps(reports)
    finally:
        if run.outlets and not wanted.dry_run:
            from rotator.metrics.publish import publish  # noqa: PLC0415 - few want metrics

            every = [token.name for token in settings.tokens]
            publish(run.outlets, reports, watch.spans, every, utc_now)
    return exit_codes.rotate_exit_code(reports, detailed=run.detailed)

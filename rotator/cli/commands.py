"""What the commands do, once their options are parsed: settings in, exit status out."""

import logging
import sys
from collections.abc import Sequence
from typing import NamedTuple

from rotator import wiring
from rotator.cli import exit_codes, output
from rotator.clock import in_words, utc_now
from rotator.config.settings import Settings
from rotator.errors import ConfigError, OutputError
from rotator.exec.signals import stop_requests
from rotator.metrics.outlets import Outlets, Stopwatch
from rotator.rotation import fleet, severity
from rotator.rotation.fleet import Shard, share
from rotator.rotation.in_flight import Ledger
from rotator.rotation.model import Order, Report
from rotator.rotation.rotation import Rotation
from rotator.rotation.severity import DAILY, raised

_log = logging.getLogger(__name__)


class Run(NamedTuple):
    """What a run of `rotate` is to serve, and how it is told of; None is the whole fleet."""

    shard: Shard | None = None
    outlets: Outlets = Outlets()
    detailed: bool = False
    as_json: bool = False

    def of(self, rotations: Sequence[Rotation]) -> list[Rotation]:
        """Return those of its share; all stores of the config are looked at all the same."""
        if self.shard is None:
            return list(rotations)
        mine = set(share((rotation.name for rotation in rotations), *self.shard))
        return [rotation for rotation in rotations if rotation.name in mine]


_PLAIN = Run()


def check(settings: Settings, names: Sequence[str], *, probe: bool, as_json: bool) -> int:
    """Look at the tokens; return the exit status of a monitoring plugin."""
    if probe:
        wiring.require_url(settings.api)
    rotations = wiring.rotations(settings, names, utc_now, Ledger())
    reports = fleet.run(rotations, lambda rotation: rotation.check(probe=probe))
    _show(reports, as_json=as_json)
    return exit_codes.of_check(reports)


def rotate(settings: Settings, names: Sequence[str], order: Order, run: Run = _PLAIN) -> int:
    """Renew the tokens that need it."""
    run.outlets.require()
    wiring.require_login(settings.api)
    wiring.require_notices(settings)
    wiring.require_restarts(settings)
    rotations = run.of(wiring.rotations(settings, names, utc_now, Ledger()))
    watch = Stopwatch(utc_now)
    act = watch.timed(lambda rotation: rotation.rotate(order))
    with stop_requests() as stopped, output.ProgressBar(len(rotations), sys.stderr) as bar:
        found = fleet.run(rotations, act, stopped=stopped, advance=bar.advance)
        pairs = zip(rotations, found, strict=True)
        reports = [raised(report, rotation.renew_before, DAILY) for rotation, report in pairs]
        if not order.dry_run:
            severity.tell_failures(list(zip(rotations, reports, strict=True)))
    try:
        _show(reports, as_json=run.as_json, none=f"no token belongs to the shard {run.shard}")
        if order.revoke_old:
            output.log_leak_steps(reports)
    finally:
        if run.outlets and not order.dry_run:
            from rotator.metrics.publish import publish  # noqa: PLC0415 - few want metrics

            every = [token.name for token in settings.tokens]
            publish(run.outlets, reports, watch.spans, every, utc_now)
    return exit_codes.of_rotate(reports, detailed=run.detailed)


def mint(settings: Settings, name: str | None, order: Order) -> int:
    """Make a token on demand, into the stores of one token."""
    names = [name] if name else [token.name for token in settings.tokens]
    if len(names) > 1:
        raise ConfigError(f"mint: found no NAME, expected one of: {', '.join(names)}")
    for token in settings.tokens:
        if token.name in names and order.validity and order.validity < token.renew_before:
            _log.warning(
                "%s: %s is less than renew_before (%s), so rotate replaces it after an hour",
                token.name,
                in_words(order.validity),
                in_words(token.renew_before),
            )
    return rotate(settings, names, order)


def _show(reports: Sequence[Report], *, as_json: bool, none: str = "") -> None:
    try:
        if sys.stdout is None:  # somebody closed it, so nobody wants the results
            return
        if reports or as_json:
            output.show(reports, sys.stdout, as_json=as_json)
        else:
            sys.stdout.write(f"{none}\n")
            sys.stdout.flush()
    except BrokenPipeError:
        pass  # the reader has seen enough: the exit status still tells how things stand
    except OSError as error:
        raise OutputError(
            f"the results could not be written ({error.strerror}); what was done is done: see"
            " rotator check"
        ) from None
    finally:
        output.log_errors(reports)

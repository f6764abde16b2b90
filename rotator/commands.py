"""What the commands do, once their options are parsed: settings in, exit status out."""

import logging
import sys
from collections.abc import Sequence

from rotator import composition, fleet, output, statuses
from rotator.afterwards import notices
from rotator.alarm import DAILY, raised
from rotator.errors import ConfigError, OutputError
from rotator.order import Order
from rotator.recovery.ledger import Ledger
from rotator.report import Report
from rotator.settings import Settings
from rotator.signals import stop_requests
from rotator.times import in_words, utc_now

_log = logging.getLogger(__name__)


def check(settings: Settings, names: Sequence[str], *, probe: bool, as_json: bool) -> int:
    """Look at the tokens; return the exit status of a monitoring plugin."""
    if probe:
        composition.require_url(settings.api)
    rotations = composition.rotations(settings, names, utc_now, Ledger())
    reports = fleet.run(rotations, lambda rotation: rotation.check(probe=probe))
    _show(reports, as_json=as_json)
    return statuses.of_check(reports)


def rotate(
    settings: Settings, names: Sequence[str], order: Order, *, detailed: bool, as_json: bool
) -> int:
    """Renew the tokens that need it."""
    composition.require_login(settings.api)
    composition.require_notices(settings)
    composition.require_restarts(settings)
    rotations = composition.rotations(settings, names, utc_now, Ledger())
    with stop_requests() as stopped, output.ProgressBar(len(rotations), sys.stderr) as bar:
        found = fleet.run(
            rotations, lambda rotation: rotation.rotate(order), stopped=stopped, advance=bar.advance
        )
        pairs = zip(rotations, found, strict=True)
        reports = [raised(report, rotation.renew_before, DAILY) for rotation, report in pairs]
        if not order.dry_run:
            notices.tell_failures(list(zip(rotations, reports, strict=True)))
    _show(reports, as_json=as_json)
    if order.revoke_old:
        output.log_leak_steps(reports)
    return statuses.of_rotate(reports, detailed=detailed)


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
    return rotate(settings, names, order, detailed=False, as_json=False)


def _show(reports: Sequence[Report], *, as_json: bool) -> None:
    try:
        if sys.stdout is not None:  # else somebody closed it, so nobody wants the results
            output.show(reports, sys.stdout, as_json=as_json)
    except BrokenPipeError:
        pass  # the reader has seen enough: the exit status still tells how things stand
    except OSError as error:
        raise OutputError(
            f"the results could not be written ({error.strerror}); what was done is done: see"
            " rotator check"
        ) from None
    finally:
        output.log_errors(reports)

"""What the commands do, once their options are parsed: settings in, exit status out."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from rotator import composition, fleet, minting, output, statuses
from rotator.errors import ConfigError, OutputError
from rotator.minting import Wish
from rotator.report import Report
from rotator.rotation import FIRST_SCOPE, Order
from rotator.settings import VALIDITY, Settings
from rotator.signals import stop_requests
from rotator.times import rfc3339, utc_now
from rotator.tokens import ServiceToken

if TYPE_CHECKING:
    from rotator.nocturna.service_tokens import ServiceTokens


def check(settings: Settings, names: Sequence[str], *, probe: bool, as_json: bool) -> int:
    """Look at the tokens; return the exit status of a monitoring plugin."""
    if probe:
        composition.require_url(settings.api)
    rotations = composition.rotations(settings, names, utc_now)
    reports = fleet.run(rotations, lambda rotation: rotation.check(probe=probe))
    _show(reports, as_json=as_json)
    return statuses.of_check(reports)


def rotate(
    settings: Settings, names: Sequence[str], order: Order, *, detailed: bool, as_json: bool
) -> int:
    """Renew the tokens that need it."""
    composition.require_login(settings.api)
    rotations = composition.rotations(settings, names, utc_now)
    with stop_requests() as stopped, output.ProgressBar(len(rotations), sys.stderr) as bar:
        reports = fleet.run(
            rotations, lambda rotation: rotation.rotate(order), stopped=stopped, advance=bar.advance
        )
    _show(reports, as_json=as_json)
    return statuses.of_rotate(reports, detailed=detailed)


def mint(settings: Settings, name: str | None, order: Order) -> int:
    """Make a token on demand, into the stores of one token."""
    names = [name] if name else [token.name for token in settings.tokens]
    if len(names) > 1:
        raise ConfigError(f"mint: found no NAME, expected one of: {', '.join(names)}")
    return rotate(settings, names, order, detailed=False, as_json=False)


def mint_shown(settings: Settings, order: Order) -> int:
    """Make a token on demand, and print it."""
    if sys.stdout is None:
        raise ConfigError("stdout is closed, so nobody would get the token; nothing was minted")
    composition.require_login(settings.api)
    api = composition.api_opener(settings.api, utc_now)()
    validity = None if order.eternal else order.validity or VALIDITY
    wish = Wish(validity, order.scope or FIRST_SCOPE, renew_before=timedelta())
    with stop_requests():  # from here on the token is printed or given back, whatever comes
        return _shown(api, minting.mint(api, wish, utc_now()))


def _shown(api: "ServiceTokens", token: ServiceToken) -> int:
    try:
        sys.stdout.write(f"{token.secret}\n")
        sys.stdout.flush()
    except OSError as error:
        outcome = minting.give_back(api, token.name, token.secret).told
        raise OutputError(
            f"the new token {token.name} reached nobody ({error.strerror}); {outcome}"
        ) from None
    life = f"expires at {rfc3339(token.expires_at)}" if token.expires_at else "never expires"
    sys.stderr.write(f"rotator: minted token {token.name}, which {life}; no store holds it\n")
    return statuses.FINE


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
        with suppress(OSError):  # nobody can be told that nobody can be told
            output.show_errors(reports, sys.stderr)

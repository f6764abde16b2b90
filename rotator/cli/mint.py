"""`rotator mint --show`: a token for somebody's eyes, which no store holds."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from rotator import wiring
from rotator.cli import exit_codes
from rotator.clock import rfc3339, utc_now
from rotator.config.settings import ROTATION_TIMEOUT, VALIDITY, Settings
from rotator.errors import ApiError, ConfigError, MintOutcomeUnknownError, OutputError
from rotator.exec.signals import stop_requests
from rotator.rotation.in_flight import Ledger
from rotator.rotation.mint import give_back, intend, mint_proven, new_run
from rotator.rotation.model import FIRST_SCOPE, Order, Wish
from rotator.rotation.reconcile import Reconciler
from rotator.tokens import ServiceToken

if TYPE_CHECKING:
    from rotator.nocturna.service_tokens import ServiceTokens


def mint_shown(settings: Settings, order: Order) -> int:
    """Make a token on demand, and print it."""
    if sys.stdout is None:
        raise ConfigError("stdout is closed, so nobody would get the token; nothing was minted")
    wiring.require_login(settings.api)
    api = wiring.api_opener(settings.api, utc_now)()
    validity = None if order.eternal else order.validity or VALIDITY
    wish = Wish(validity, order.scope or FIRST_SCOPE, renew_before=timedelta())
    with stop_requests():  # from here on the token is printed or given back, whatever comes
        return _shown(api, _minted(settings, api, wish))


def _minted(settings: Settings, api: ServiceTokens, wish: Wish) -> ServiceToken:
    api.log_in()
    intent = intend(new_run(), wish, api.now())
    try:
        return mint_proven(api, wish, utc_now())
    except MintOutcomeUnknownError as error:
        reconciler = Reconciler(Ledger(), wiring.fleet(settings), time.sleep)
        found = reconciler.settle(api, [intent], ROTATION_TIMEOUT)
        later = "none is there yet: look for it in the API's list of service tokens in some minutes"
        raise ApiError(f"{error}: {found.told or later}") from None


def _shown(api: ServiceTokens, token: ServiceToken) -> int:
    try:
        sys.stdout.write(f"{token.secret}\n")
        sys.stdout.flush()
    except OSError as error:
        failure = give_back(api, token.token_id or "")
        told = f"{failure}: revoke {token.name} at the API by hand" if failure else "it was revoked"
        raise OutputError(
            f"the new token {token.name} reached nobody ({error.strerror}); {told}"
        ) from None
    life = f"expires at {rfc3339(token.expires_at)}" if token.expires_at else "never expires"
    sys.stderr.write(f"rotator: minted token {token.name}, which {life}; no store holds it\n")
    return exit_codes.FINE

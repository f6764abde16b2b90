"""`rotator mint`: a token on demand, into stores or, with `--show`, on stdout."""

from __future__ import annotations

import logging
import re
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click

from rotator import wiring
from rotator.cli import exit_codes, options, output
from rotator.cli.rotate import exit_code_of, run_rotations
from rotator.clock import in_words, rfc3339, utc_now
from rotator.config.settings import ROTATION_TIMEOUT, VALIDITY, ApiSettings, Settings
from rotator.errors import (
    ApiError,
    ConfigError,
    MintOutcomeUnknownError,
    OutputError,
    RotatorError,
    VerificationError,
    has_token,
    offer,
)
from rotator.rotation.mint import new_intent, prove_usable, request_token, require_clock
from rotator.rotation.model import FIRST_SCOPE, MintRequest, RotationContext
from rotator.rotation.policy import RotateOptions
from rotator.rotation.reconcile import reconcile
from rotator.rotation.undo import Found, advise_by_hand, describe_strange, revoke_if_ours
from rotator.signals import stop_requests
from rotator.stores.journal import Intent, new_mint_id
from rotator.tokens import LONGEST_VALIDITY, ServiceToken
from rotator.wiring import requirements, selection

if TYPE_CHECKING:
    from rotator.nocturna.service_tokens import TokenApi

_log = logging.getLogger(__name__)
_LONGEST = LONGEST_VALIDITY.days


def _parse_days(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= _LONGEST:
        raise ValueError(f"found {text!r}, expected a whole number from 1 to {_LONGEST}")
    return int(text)


def _parse_scope(text: str) -> str:
    if not text.strip() or not text.isprintable() or has_token(text):
        raise ValueError("expected the name of a scope, such as calculations")
    return text


@options.examples(
    "rotator mint luna-bot --days 30",
    "rotator mint --show --days 1 --scope calculations",
)
@click.command("mint")
@options.name
@click.option(
    "--days",
    type=options.Parsed("days", _parse_days),
    metavar="DAYS",
    help="Life in days, 1 to 365 [default: as configured; 90 with --show].",
)
@click.option("--eternal", is_flag=True, help="Mint one that never expires.")
@click.option(
    "--scope",
    type=options.Parsed("scope", _parse_scope),
    metavar="TEXT",
    help="Scope [default: as configured, or the current token's].",
)
@click.option("--show", is_flag=True, help="Print the token on stdout, and store it nowhere.")
@click.option("--api", metavar="NAME", help="With --show: mint it at this one of several APIs.")
@options.configured
def command(  # noqa: PLR0913 - one per option
    settings: Settings,
    name: str | None,
    *,
    days: int | None,
    scope: str | None,
    eternal: bool,
    show: bool,
    api: str | None,
) -> int:
    """Mint a token on demand, and write it to the stores of NAME.

    NAME may be omitted where only one token is configured. Retirement, hooks and notices follow as
    after any rotation. With --show the token is printed instead: mind who can see your terminal and
    its log. Exits as rotate does.
    """
    if days and eternal:
        raise click.UsageError("--days and --eternal exclude each other.")
    if show and name:
        raise click.UsageError("--show stores the token nowhere, so it takes no NAME.")
    if api and not show:
        raise click.UsageError(
            "--api is for --show: leave it out, as the config says which API NAME has."
        )
    validity = timedelta(days=days) if days else None
    wanted = RotateOptions(force=True, eternal=eternal, validity=validity, scope=scope)
    if show:
        return _mint_and_print(settings, selection.choose_api(settings, api), wanted)
    return _mint_into_stores(settings, name, wanted)


def _mint_into_stores(settings: Settings, name: str | None, wanted: RotateOptions) -> int:
    names = [name] if name else [token.name for token in settings.tokens]
    if len(names) > 1:
        raise ConfigError(f"mint: found no NAME, expected {offer(names)}")
    for token in settings.tokens:
        if token.name in names and wanted.validity and wanted.validity < token.renew_before:
            _log.warning(
                "%s: %s is less than renew_before (%s), so rotate replaces it after an hour",
                token.name,
                in_words(wanted.validity),
                in_words(token.renew_before),
            )
        if token.name in names and not wanted.eternal and not wanted.validity:
            # As configured, also in the place of an eternal one, which rotate would keep so.
            wanted = replace(wanted, validity=token.validity)
    requirements.require_rotation(settings)
    rotations = wiring.build_rotations(settings, names, utc_now)
    reports, _ = run_rotations(rotations, wanted)
    output.show_results(reports)
    return exit_code_of(reports, detailed=False)


def _mint_and_print(settings: Settings, of_api: ApiSettings, wanted: RotateOptions) -> int:
    if sys.stdout is None:
        raise ConfigError("stdout is closed, so nobody would get the token; nothing was minted")
    requirements.require_login(of_api)
    context = wiring.build_contexts(settings, utc_now)[of_api.name]
    validity = None if wanted.eternal else wanted.validity or VALIDITY
    request = MintRequest(validity, wanted.scope or FIRST_SCOPE, renew_before=timedelta())
    with stop_requests():  # from here on the token is printed or revoked, whatever happens
        api = context.api()
        api.log_in()
        request = request.after(api.known_tokens())
        intent = new_intent(new_mint_id(), request, api.time.now())
        try:
            return _print_token(api, _mint(context, request, intent), intent)
        finally:
            api.log_out()


def _mint(context: RotationContext, request: MintRequest, intent: Intent) -> ServiceToken:
    try:
        return mint_and_verify(context.api(), request, intent, context.clock())
    except MintOutcomeUnknownError as error:
        found = reconcile(context, [intent], ROTATION_TIMEOUT, was_there=request.was_there)
        later = "none is there yet: look for it in the API's list of service tokens in some minutes"
        raise ApiError(f"{error}: {found.summary or later}") from None


def mint_and_verify(
    api: TokenApi, request: MintRequest, intent: Intent, now: datetime
) -> ServiceToken:
    """Mint a token that no store gets; one that fails is revoked. Raises what these two raise.

    `intent` is on record nowhere. Raises `MintOutcomeUnknownError` also where the answer names a
    token that cannot come of it.
    """
    api.log_in()
    require_clock(api, request, now)
    minted = request_token(api, request)
    try:
        return prove_usable(api, minted, request, now)
    except VerificationError as error:
        intent = intent._replace(token_id=minted.token_id)
        try:
            found = revoke_if_ours(api, intent, ROTATION_TIMEOUT)
        except RotatorError as failure:
            outcome = advise_by_hand(failure, minted.token_id)
            raise VerificationError(f"{error}; {outcome}") from None
        if found is not Found.OURS:
            raise MintOutcomeUnknownError(str(error)) from None
        raise VerificationError(f"{error}; it was revoked") from None


def _print_token(api: TokenApi, token: ServiceToken, intent: Intent) -> int:
    try:
        sys.stdout.write(f"{token.secret}\n")
        sys.stdout.flush()
    except OSError as error:
        end = "it was revoked"
        try:
            named = intent._replace(token_id=token.token_id)
            if revoke_if_ours(api, named, ROTATION_TIMEOUT) is Found.STRANGE:
                end = describe_strange(token.name)
        except RotatorError as failure:
            end = advise_by_hand(failure, token.name)
        raise OutputError(
            f"the new token {token.name} reached nobody ({error.strerror}); {end}"
        ) from None
    life = f"expires at {rfc3339(token.expires_at)}" if token.expires_at else "never expires"
    sys.stderr.write(f"rotator: minted token {token.name}, which {life}; no store holds it\n")
    return exit_codes.OK

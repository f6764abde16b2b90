"""Mint a token, prove that it is what was asked for, and never leave an unproven one behind."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from rotator.clock import in_words, minute
from rotator.errors import (
    MalformedTokenError,
    RotatorError,
    VerificationError,
)
from rotator.tokens import ServiceToken

if TYPE_CHECKING:
    from rotator.nocturna.service_tokens import Minted, ServiceTokens

ONE_DAY = timedelta(days=1)
WRONG_CLOCK = timedelta(minutes=5)


class Wish(NamedTuple):
    """The token that is wanted; `validity` None is eternal.

    `in_use` are the ids of tokens that the stores know: a new token is none of them.
    """

    validity: timedelta | None
    scope: str
    renew_before: timedelta
    in_use: frozenset[str] = frozenset()

    @property
    def tolerance(self) -> timedelta:
        """How far the expiry may be off: clocks differ, tokens do not come a week early."""
        return ONE_DAY if self.validity is None else min(ONE_DAY, self.validity / 4)


def mint(api: ServiceTokens, wish: Wish) -> Minted:
    """Return a new token, of which nothing is proven yet; raises the `ApiError` of the call.

    Raises `VerificationError` for an answer that must not even be revoked.
    """
    minted = api.mint(wish.validity, wish.scope)
    if minted.token_id in wish.in_use:  # a cache in between, say: revoking it would cut a bot off
        raise in_use(minted)
    return minted


def in_use(minted: Minted) -> VerificationError:
    """Return the error about an answer that names a token which some bot may have."""
    return VerificationError(f"the API answered with the token {minted.token_id}, which is in use")


def verify(api: ServiceTokens, minted: Minted, wish: Wish, now: datetime) -> ServiceToken:
    """Return the token once it is proven to be what was wished, and accepted by the server.

    Raises `VerificationError`; `now` is this machine's time, by which bots will see it expire.
    """
    try:
        token = _checked(minted, wish, now, api.clock_skew)
        api.exchange(token.secret)
    except RotatorError as error:
        raise VerificationError(f"the new token {minted.token_id} is not usable: {error}") from None
    return token


def mint_proven(api: ServiceTokens, wish: Wish, now: datetime) -> ServiceToken:
    """Mint and verify; a token that fails is revoked. Raises what these two raise."""
    minted = mint(api, wish)
    try:
        return verify(api, minted, wish, now)
    except VerificationError as error:
        failure = give_back(api, minted.token_id)
        told = (
            f"{failure}: revoke {minted.token_id} at the API by hand"
            if failure
            else "it was revoked"
        )
        raise VerificationError(f"{error}; {told}") from None


def give_back(api: ServiceTokens, token_id: str) -> str | None:
    """Revoke a token that no store holds; return why it could not be done, None when it was."""
    try:
        api.ensure_revoked(token_id, "unused")
    except RotatorError as error:
        return f"it could not be revoked ({error})"
    return None


def _checked(minted: Minted, wish: Wish, now: datetime, skew: timedelta | None) -> ServiceToken:
    try:
        token = ServiceToken.parse(minted.secret)
    except MalformedTokenError as fault:
        raise VerificationError(str(fault)) from None
    if token.token_id != minted.token_id:
        raise VerificationError(f"its claims carry another id ({token.name})")
    if token.scope != wish.scope:
        raise VerificationError("its scope is not the one that was asked for")
    _check_expiry(token, wish, now, skew)
    return token


def _check_expiry(token: ServiceToken, wish: Wish, now: datetime, skew: timedelta | None) -> None:
    left = token.remaining(now)
    if wish.validity is None or left is None or token.expires_at is None:
        if wish.validity is not None or left is not None:
            raise VerificationError("it is eternal" if left is None else "it is not eternal")
        return
    if abs(left - wish.validity) > wish.tolerance or left < wish.renew_before:
        wanted = f"{in_words(wish.validity)} from now{_clock(skew)}"
        raise VerificationError(f"it ends {minute(token.expires_at)}, not {wanted}")


def _clock(skew: timedelta | None) -> str:
    if skew is None or abs(skew) < WRONG_CLOCK:
        return ""
    side = "ahead of" if skew > timedelta() else "behind"
    return f" (this machine's clock is {in_words(skew)} {side} the API's: set it right)"

"""Undo: what becomes of a mint when one of its steps fails.

Its token is revoked, or its intent stays for the next run. Nothing is revoked that may be another
one's: the API's list has to say that the token can have come of the intent.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING

from rotator.config.settings import ROTATION_TIMEOUT
from rotator.errors import (
    ApiError,
    ConflictError,
    MintOutcomeUnknownError,
    RotatorError,
    StoreError,
    VerificationError,
)
from rotator.rotation.mint import (
    MintAttempt,
    UncertainWriteError,
    prove_usable,
    request_token,
    require_clock,
)
from rotator.rotation.model import MintRequest
from rotator.rotation.reconcile import can_come_of, reconcile
from rotator.stores.journal import Intent
from rotator.tokens import ServiceToken

if TYPE_CHECKING:
    from rotator.nocturna.service_tokens import TokenApi


class OvertakenError(StoreError):
    """Another rotator was faster; our own token is revoked."""


class NotBegunError(OvertakenError):
    """The store changed before the intent was written: nothing was minted."""


@contextmanager
def undoing(attempt: MintAttempt) -> Iterator[None]:
    """Enclose the steps of an attempt, from intend to promote; undo one that fails.

    Until the end no thread of this process takes the new token for an orphan. Raises
    `NotBegunError`, `OvertakenError`, `UncertainWriteError` when the store may hold the token, or
    the step's `RotatorError` with what became of the token in its message.
    """
    with attempt.context.in_flight.tracking(attempt.mint_id):
        try:
            with attempt.minting:
                yield
        except RotatorError as error:
            if attempt.is_promoted:
                raise
            raise _undo(attempt, error) from None


def _undo(attempt: MintAttempt, error: RotatorError) -> RotatorError:
    """Undo what was done until `error`; return the error to raise."""
    if attempt.intent is None:
        return NotBegunError(str(error)) if isinstance(error, ConflictError) else error
    if isinstance(error, UncertainWriteError):
        return error
    if attempt.minted_id is not None:
        return _revoke_minted(attempt, attempt.minted_id, error)
    if isinstance(error, MintOutcomeUnknownError):
        return _search_minted(attempt, error)
    attempt.intent.close()
    return error


def _search_minted(attempt: MintAttempt, error: RotatorError) -> RotatorError:
    """Look for the token whose answer was lost, or named another one, and revoke it."""
    attempt.context.in_flight.end(attempt.mint_id)
    if attempt.written_intent.intent.token_id is not None:
        attempt.intent = attempt.written_intent.with_token(None)
        with suppress(StoreError):
            attempt.intent = attempt.intent.write()
    intent = attempt.written_intent
    result = reconcile(
        attempt.context, [intent.intent], attempt.timeout, was_there=attempt.request.was_there
    )
    is_settled = attempt.mint_id in result.settled
    if is_settled:
        intent.close()
    if is_settled and isinstance(error, ConflictError) and not result.trouble:
        return OvertakenError(f"{error}; its token was revoked")
    later = "none is left over" if is_settled else "none is there yet; the next run looks again"
    return ApiError(f"{error}: {result.summary or later}")


def _revoke_minted(attempt: MintAttempt, token_id: str, error: RotatorError) -> RotatorError:
    intent, failure = attempt.written_intent.with_token(token_id), None
    # It may have come late, since this process slept.
    lasted = max(attempt.timeout, attempt.api.time.now() - intent.intent.begun_at)
    try:
        found = revoke_if_ours(attempt.api, intent.intent, lasted)
    except RotatorError as trouble:
        failure = advise_by_hand(trouble, token_id)
        if intent.ensure_noted():
            failure = f"it could not be revoked ({trouble}); the next run tries again"
    else:
        if found is not Found.OURS and not attempt.is_verified:
            return _search_minted(attempt, error)
        if found is Found.STRANGE:
            failure = describe_strange(token_id)
        else:  # or whoever took us for dead has revoked it
            intent.close()
    outcome = failure or "it was revoked"
    if not isinstance(error, VerificationError):  # which names the token
        outcome = f"the new token {token_id} is not in use: {outcome}"
    # Theirs is taken without a failure only where nothing of ours is left.
    is_overtaken = isinstance(error, ConflictError) and failure is None
    return (OvertakenError if is_overtaken else type(error))(f"{error}; {outcome}")


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


class Found(Enum):
    """What the API's list says of the token that an answer named; `OURS` is revoked."""

    OURS = auto()
    GONE = auto()
    STRANGE = auto()


def revoke_if_ours(api: TokenApi, intent: Intent, timeout: timedelta) -> Found:
    """Revoke the token that an answer named for this intent, and that no store holds.

    The name may be wrong, and of a token that others need: nothing is revoked where the API's list
    does not say that it can come of the intent. Raises what the API's calls raise.
    """
    row = next((row for row in api.list_tokens() if row.token_id == intent.token_id), None)
    if row is None:
        return Found.GONE
    if not can_come_of(row, intent, api.account(), timeout):
        return Found.STRANGE
    api.ensure_revoked(row.token_id, "unused")
    return Found.OURS


def describe_strange(token_id: str) -> str:
    """Return what is to be done where the API's list does not say that a token is ours."""
    return (
        f"it was not revoked, since by the API's list it came of another mint: revoke {token_id} by"
        " hand if nobody uses it"
    )


def advise_by_hand(failure: RotatorError, token_id: str) -> str:
    """Return what is to be done where a new token could not be revoked, and nothing notes it."""
    return f"it could not be revoked ({failure}): revoke {token_id} at the API by hand"

"""Intend, mint, verify, promote: a new token into its first store, or undone."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from rotator.audit import Event, told
from rotator.clock import in_words, minute
from rotator.errors import (
    ApiError,
    ConflictError,
    MalformedTokenError,
    MintOutcomeUnknownError,
    RotatorError,
    StoreError,
    TokenRefusedError,
    VerificationError,
)
from rotator.rotation.model import MintRequest, RotationContext
from rotator.rotation.observe import Observation, Unreachable, observe_store
from rotator.rotation.reconcile import Reconciler
from rotator.rotation.store_writes import UncertainWriteError, promote
from rotator.stores.journal import Intent, Journal, scope_digest
from rotator.tokens import ServiceToken

if TYPE_CHECKING:
    from rotator.nocturna.service_tokens import MintedToken, ServiceTokens

WRONG_CLOCK = timedelta(minutes=5)


def mint(api: ServiceTokens, request: MintRequest) -> MintedToken:
    """Return a new token, of which nothing is proven yet; raises the `ApiError` of the call.

    Raises `VerificationError` for an answer that must not even be revoked.
    """
    minted = api.mint(request.validity, request.scope)
    if (
        minted.token_id in request.in_use
    ):  # a cache in between, say: revoking it would cut a bot off
        raise in_use(minted)
    return minted


def in_use(minted: MintedToken) -> VerificationError:
    """Return the error about an answer that names a token which some bot may have."""
    return VerificationError(f"the API answered with the token {minted.token_id}, which is in use")


def verify(
    api: ServiceTokens, minted: MintedToken, request: MintRequest, now: datetime
) -> ServiceToken:
    """Return the token once it is proven to be what was wished, and accepted by the server.

    Raises `VerificationError`; `now` is this machine's time, by which bots will see it expire.
    """
    try:
        token = _checked(minted, request, now, api.clock_skew)
        api.exchange(token.secret)
    except RotatorError as error:
        raise VerificationError(f"the new token {minted.token_id} is not usable: {error}") from None
    return token


def mint_and_verify(api: ServiceTokens, request: MintRequest, now: datetime) -> ServiceToken:
    """Mint and verify; a token that fails is revoked. Raises what these two raise."""
    minted = mint(api, request)
    try:
        return verify(api, minted, request, now)
    except VerificationError as error:
        failure = revoke_unused(api, minted.token_id)
        told = (
            f"{failure}: revoke {minted.token_id} at the API by hand"
            if failure
            else "it was revoked"
        )
        raise VerificationError(f"{error}; {told}") from None


def revoke_unused(api: ServiceTokens, token_id: str) -> str | None:
    """Revoke a token that no store holds; return why it could not be done, None when it was."""
    try:
        api.ensure_revoked(token_id, "unused")
    except RotatorError as error:
        return f"it could not be revoked ({error})"
    return None


def _checked(
    minted: MintedToken, request: MintRequest, now: datetime, skew: timedelta | None
) -> ServiceToken:
    try:
        token = ServiceToken.parse(minted.secret)
    except MalformedTokenError as fault:
        raise VerificationError(str(fault)) from None
    if token.token_id != minted.token_id:
        raise VerificationError(f"its claims carry another id ({token.name})")
    if token.scope != request.scope:
        raise VerificationError("its scope is not the one that was asked for")
    _check_expiry(token, request, now, skew)
    return token


def _check_expiry(
    token: ServiceToken, request: MintRequest, now: datetime, skew: timedelta | None
) -> None:
    left = token.remaining(now)
    if request.validity is None or left is None or token.expires_at is None:
        if request.validity is not None or left is not None:
            raise VerificationError("it is eternal" if left is None else "it is not eternal")
        return
    if abs(left - request.validity) > request.tolerance or left < request.renew_before:
        wanted = f"{in_words(request.validity)} from now{_clock(skew)}"
        raise VerificationError(f"it ends {minute(token.expires_at)}, not {wanted}")


def _clock(skew: timedelta | None) -> str:
    if skew is None or abs(skew) < WRONG_CLOCK:
        return ""
    side = "ahead of" if skew > timedelta() else "behind"
    return f" (this machine's clock is {in_words(skew)} {side} the API's: set it right)"


def new_run_id() -> str:
    """Return the id of a new run."""
    return os.urandom(6).hex()


def new_intent(run: str, request: MintRequest, now: datetime) -> Intent:
    """Return the intent of a run to mint this; `now` is the server's time."""
    days = None if request.validity is None else request.validity.days
    return Intent(run, now.replace(microsecond=0), days, scope_digest(request.scope))


class WriteAheadIntent(NamedTuple):
    """An intent, and the store that has it, as it was when this was written."""

    observation: Observation
    intent: Intent

    def written(self) -> WriteAheadIntent:
        """Write the intent; raises `ConflictError` when somebody was faster, or a `StoreError`."""
        found = self.observation.found
        journal = found.journal.with_intent(self.intent)
        store, intent = self.observation.store, self.intent
        what = f"a mint, in the journal of {store.url}"
        with told(
            Event.INTENDED, what, store=store.url, intent=intent.run, token_id=intent.token_id
        ):
            version = store.note(journal, expected=found.version)
        return self._replace(observation=self.observation.noting(version, journal))

    def about(self, token_id: str) -> WriteAheadIntent:
        """Return the record of a mint that made this token."""
        return self._replace(intent=self.intent._replace(token_id=token_id))

    def settle(self, token: ServiceToken, journal: Journal) -> Journal:
        """Return `journal` as it is to stand beside this token, which settles the intent."""
        others = self.observation.found.journal.without_intents({self.intent.run}).intents
        return replace(journal, token_id=token.token_id, intents=others)

    def close(self) -> None:
        """Take the intent out, its token being settled.

        What cannot be written now stays; the next run then finds that nothing is left to settle.
        """
        journal = self.observation.found.journal.without_intents({self.intent.run})
        store = self.observation.store
        what = f"the end of a mint, in the journal of {store.url}"
        with suppress(StoreError), told(Event.NOTED, what, store=store.url, intent=self.intent.run):
            store.note(journal, expected=self.observation.found.version)

    def keep(self) -> bool:
        """Make sure that the next run finds the intent, whatever others have written since."""
        found = observe_store(self.observation.store)
        if isinstance(found, Unreachable):
            return False
        try:
            WriteAheadIntent(found, self.intent).written()
        except StoreError:
            return False
        return True


class OvertakenError(StoreError):
    """Another rotator was faster, and nothing of ours is left."""


class NotBegunError(OvertakenError):
    """The store changed before the intent was written: nothing was minted."""


class NewToken(NamedTuple):
    """A new token that its first store shows, with the journal beside it."""

    token: ServiceToken
    journal: Journal


class Minter:
    """Makes tokens, each in one attempt; `timeout` is the longest that one may take."""

    def __init__(
        self, context: RotationContext, reconciler: Reconciler, timeout: timedelta
    ) -> None:
        self._api = context.api()
        self._ledger = context.in_flight
        self._fleet = context.fleet
        self._clock = context.clock
        self._reconciler = reconciler
        self._timeout = timeout

    def make(self, first: Observation, request: MintRequest, journal: Journal) -> NewToken:
        """Return a new token that stands in the first store, with `journal` made to be about it.

        Raises `NotBegunError`, `OvertakenError`, `UncertainWriteError` when the store does not tell
        whether it took the token, or the `RotatorError` that it failed with; the token then is
        revoked, or its record stays for the next run.
        """
        self._api.log_in()  # the intent carries the server's time, and a login can take long
        run = new_run_id()
        known = request.in_use | self._fleet.known_ids()
        with self._ledger.tracking(run):
            return self._attempted(run, first, request._replace(in_use=known), journal)

    def _attempted(
        self, run: str, first: Observation, request: MintRequest, journal: Journal
    ) -> NewToken:
        record, minted = self._minted(run, first, request)
        try:
            record = record.about(minted.token_id).written()
            token = verify(self._api, minted, request, self._clock())
            self._refuse_late(record, token)
            about = record.settle(token, journal)
            promote(record.observation, token, about)
        except UncertainWriteError:
            raise
        except RotatorError as error:
            raise self._undone(record.about(minted.token_id), minted, error) from None
        self._prove_late(record, token)  # outside: what a store shows is never undone
        return NewToken(token, about)

    def _minted(
        self, run: str, first: Observation, request: MintRequest
    ) -> tuple[WriteAheadIntent, MintedToken]:
        record = None
        try:
            with self._ledger.minting():
                record = WriteAheadIntent(
                    first, new_intent(run, request, self._api.now())
                ).written()
                minted = mint(self._api, request)
                if not self._ledger.got(run, minted.token_id):
                    raise in_use(minted)
                return record, minted
        except ConflictError as error:
            raise NotBegunError(str(error)) from None
        except RotatorError as error:
            if record and isinstance(error, MintOutcomeUnknownError):
                self._ledger.end(run)
                raise self._searched(record, error) from None
            if record:
                record.close()
            raise

    def _searched(self, record: WriteAheadIntent, error: MintOutcomeUnknownError) -> ApiError:
        """Look for the token whose answer was lost, and revoke it; the error tells what came."""
        found = self._reconciler.settle(self._api, [record.intent], self._timeout)
        if record.intent.run in found.settled:
            record.close()
        return ApiError(f"{error}: {found.told or 'none is there yet; the next run looks again'}")

    def _prove_late(self, record: WriteAheadIntent, token: ServiceToken) -> None:
        """Ask once more, where the write took so long that others may have revoked the token."""
        if not self._is_late(record):
            return
        slow = (
            f"writing it took over three quarters of rotation_timeout ({in_words(self._timeout)})"
        )
        try:
            self._api.exchange(token.secret)
        except TokenRefusedError:
            raise UncertainWriteError(
                f"the new token {token.name} was revoked while it was written, since {slow}: run"
                " again"
            ) from None
        except ApiError as error:
            raise UncertainWriteError(
                f"{error}; the new token {token.name} is in its first store, but {slow}, and"
                " another rotator may have revoked it meanwhile: run again"
            ) from None

    def _is_late(self, record: WriteAheadIntent) -> bool:
        return self._api.now() - record.intent.begun_at > self._timeout * 3 / 4

    def _refuse_late(self, record: WriteAheadIntent, token: ServiceToken) -> None:
        # Others take this rotation for dead, and its token for left over, once its time is up.
        if self._is_late(record):
            raise VerificationError(
                f"the new token {token.name} came too late: rotation_timeout"
                f" ({in_words(self._timeout)}) is nearly over; raise it, or run again when the API"
                " is faster"
            )

    def _undone(
        self, record: WriteAheadIntent, minted: MintedToken, error: RotatorError
    ) -> RotatorError:
        failure = revoke_unused(self._api, minted.token_id)
        if failure is None:
            record.close()
        elif record.keep():
            failure += "; the next run tries again"
        else:
            failure += f": revoke {minted.token_id} at the API by hand"
        told = failure or "it was revoked"
        if not isinstance(error, VerificationError):  # which has named it
            told = f"the new token {minted.token_id} is not in use: {told}"
        # Theirs is taken in silence only where nothing of ours is left to be told.
        overtaken = isinstance(error, ConflictError) and failure is None
        return (OvertakenError if overtaken else type(error))(f"{error}; {told}")

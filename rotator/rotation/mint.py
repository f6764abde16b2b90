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
from rotator.rotation.model import Shared, Wish
from rotator.rotation.observe import Reading, Silence, look
from rotator.rotation.reconcile import Reconciler
from rotator.rotation.store_writes import UncertainWriteError, promote
from rotator.stores.journal import Intent, Journal, scope_digest
from rotator.tokens import ServiceToken

if TYPE_CHECKING:
    from rotator.nocturna.service_tokens import Minted, ServiceTokens

WRONG_CLOCK = timedelta(minutes=5)


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


def new_run() -> str:
    """Return the id of a new run."""
    return os.urandom(6).hex()


def intend(run: str, wish: Wish, now: datetime) -> Intent:
    """Return the intent of a run to mint this; `now` is the server's time."""
    days = None if wish.validity is None else wish.validity.days
    return Intent(run, now.replace(microsecond=0), days, scope_digest(wish.scope))


class Record(NamedTuple):
    """An intent, and the store that has it, as it was when this was written."""

    reading: Reading
    intent: Intent

    def written(self) -> Record:
        """Write the intent; raises `ConflictError` when somebody was faster, or a `StoreError`."""
        found = self.reading.found
        journal = found.journal.with_intent(self.intent)
        store, intent = self.reading.store, self.intent
        what = f"a mint, in the journal of {store.url}"
        with told(
            Event.INTENDED, what, store=store.url, intent=intent.run, token_id=intent.token_id
        ):
            version = store.note(journal, expected=found.version)
        return self._replace(reading=self.reading.noting(version, journal))

    def about(self, token_id: str) -> Record:
        """Return the record of a mint that made this token."""
        return self._replace(intent=self.intent._replace(token_id=token_id))

    def settled_by(self, token: ServiceToken, journal: Journal) -> Journal:
        """Return `journal` as it is to stand beside this token, which settles the intent."""
        others = self.reading.found.journal.without_intents({self.intent.run}).intents
        return replace(journal, token_id=token.token_id, intents=others)

    def close(self) -> None:
        """Take the intent out, its token being settled.

        What cannot be written now stays; the next run then finds that nothing is left to settle.
        """
        journal = self.reading.found.journal.without_intents({self.intent.run})
        store = self.reading.store
        what = f"the end of a mint, in the journal of {store.url}"
        with suppress(StoreError), told(Event.NOTED, what, store=store.url, intent=self.intent.run):
            store.note(journal, expected=self.reading.found.version)

    def keep(self) -> bool:
        """Make sure that the next run finds the intent, whatever others have written since."""
        found = look(self.reading.store)
        if isinstance(found, Silence):
            return False
        try:
            Record(found, self.intent).written()
        except StoreError:
            return False
        return True


class OvertakenError(StoreError):
    """Another rotator was faster, and nothing of ours is left."""


class NotBegunError(OvertakenError):
    """The store changed before the intent was written: nothing was minted."""


class Made(NamedTuple):
    """A new token that its first store shows, with the journal beside it."""

    token: ServiceToken
    journal: Journal


class Maker:
    """Makes tokens, each in one attempt; `timeout` is the longest that one may take."""

    def __init__(self, shared: Shared, reconciler: Reconciler, timeout: timedelta) -> None:
        self._api = shared.api()
        self._ledger = shared.ledger
        self._fleet = shared.fleet
        self._clock = shared.clock
        self._reconciler = reconciler
        self._timeout = timeout

    def make(self, first: Reading, wish: Wish, journal: Journal) -> Made:
        """Return a new token that stands in the first store, with `journal` made to be about it.

        Raises `NotBegunError`, `OvertakenError`, `UncertainWriteError` when the store does not tell
        whether it took the token, or the `RotatorError` that it failed with; the token then is
        revoked, or its record stays for the next run.
        """
        self._api.log_in()  # the intent carries the server's time, and a login can take long
        run = new_run()
        known = wish.in_use | self._fleet.known_ids()
        with self._ledger.minding(run):
            return self._attempted(run, first, wish._replace(in_use=known), journal)

    def _attempted(self, run: str, first: Reading, wish: Wish, journal: Journal) -> Made:
        record, minted = self._minted(run, first, wish)
        try:
            record = record.about(minted.token_id).written()
            token = verify(self._api, minted, wish, self._clock())
            self._refuse_late(record, token)
            about = record.settled_by(token, journal)
            promote(record.reading, token, about)
        except UncertainWriteError:
            raise
        except RotatorError as error:
            raise self._undone(record.about(minted.token_id), minted, error) from None
        self._prove_late(record, token)  # outside: what a store shows is never undone
        return Made(token, about)

    def _minted(self, run: str, first: Reading, wish: Wish) -> tuple[Record, Minted]:
        record = None
        try:
            with self._ledger.minting():
                record = Record(first, intend(run, wish, self._api.now())).written()
                minted = mint(self._api, wish)
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

    def _searched(self, record: Record, error: MintOutcomeUnknownError) -> ApiError:
        """Look for the token whose answer was lost, and revoke it; the error tells what came."""
        found = self._reconciler.settle(self._api, [record.intent], self._timeout)
        if record.intent.run in found.settled:
            record.close()
        return ApiError(f"{error}: {found.told or 'none is there yet; the next run looks again'}")

    def _prove_late(self, record: Record, token: ServiceToken) -> None:
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

    def _is_late(self, record: Record) -> bool:
        return self._api.now() - record.intent.begun_at > self._timeout * 3 / 4

    def _refuse_late(self, record: Record, token: ServiceToken) -> None:
        # Others take this rotation for dead, and its token for left over, once its time is up.
        if self._is_late(record):
            raise VerificationError(
                f"the new token {token.name} came too late: rotation_timeout"
                f" ({in_words(self._timeout)}) is nearly over; raise it, or run again when the API"
                " is faster"
            )

    def _undone(self, record: Record, minted: Minted, error: RotatorError) -> RotatorError:
        failure = give_back(self._api, minted.token_id)
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

"""Mint: a new token comes into its first store.

The steps of an attempt are intend, mint, verify and promote. The first store is written three
times, so that wherever the rotator dies the next run knows what to look for:

1. intend: an intent, as the API can make a token whose answer never arrives;
2. mint: the token's id, by which it is found among others like it;
3. promote: the token, without the intent.

Where a step fails, the token is revoked at once, or its intent stays for the next run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from rotator.audit import Event
from rotator.clock import describe_skew, in_words, minute
from rotator.errors import (
    ApiError,
    ConflictError,
    MalformedTokenError,
    MintOutcomeUnknownError,
    RotatorError,
    StoreError,
    StoreUnreachableError,
    TokenRefusedError,
    UnconfirmedWriteError,
    VerificationError,
)
from rotator.rotation.model import MintRequest, RotationContext
from rotator.rotation.observe import ATTEMPTS, Observation, Unreachable, observe_store
from rotator.rotation.reconcile import is_as_wished, reconcile
from rotator.rotation.undo import Found, advise_by_hand, describe_strange, revoke_if_ours
from rotator.stores.journal import Intent, Journal, new_mint_id, scope_digest
from rotator.stores.port import Entry, SecretStore
from rotator.tokens import ServiceToken

if TYPE_CHECKING:
    from rotator.nocturna.service_tokens import MintedToken, TokenApi

# AWS ends a tag at 256 characters: an intent with its token's id and three more has 200.
_MOST_EARLIER, _UUID = 3, 36


class OvertakenError(StoreError):
    """Another rotator was faster; nothing of ours is left, and our own token is revoked."""


class NotBegunError(OvertakenError):
    """The store changed before the intent was written, so that nothing was minted."""


class RevokedMeanwhileError(StoreError):
    """The new token is in the first store, where the API does not accept it any more."""


class UncertainWriteError(StoreError):
    """The first store may hold the new token, which therefore stays valid."""


class MintAttempt:
    """One attempt to mint a token and to write it to the first store of its rotation.

    `timeout` is the longest that a rotation may take.
    """

    def __init__(
        self, context: RotationContext, timeout: timedelta, first: Observation, request: MintRequest
    ) -> None:
        self.context = context
        self.api = context.api()
        self.timeout = timeout
        self.first = first
        self.request = request
        self.mint_id = new_mint_id()
        self._in_store: WriteAheadIntent | None = None
        self.minted_id: str | None = None
        self.is_verified = False
        self.is_promoted = False

    def prepare(self) -> None:
        """Log in, and look what is there: what fails here needs no `undoing`."""
        self.api.log_in()  # the intent carries the server's time, and a login can take long
        require_clock(self.api, self.request, self.context.clock())
        self.request = self.request.after(self.api.known_tokens())

    @contextmanager
    def undoing(self) -> Iterator[None]:
        """Enclose the steps from intend to promote; undo them where one fails.

        Raises `NotBegunError`, `OvertakenError`, `UncertainWriteError` when the store may hold the
        token, or the step's `RotatorError` with what became of the token in its message. A token
        that is promoted stays, as a bot may have read it.
        """
        try:
            yield
        except RotatorError as error:
            if self.is_promoted:
                raise
            raise self._undo(error) from None
        finally:
            # Until here no thread of this process takes the new token for an orphan.
            self.context.in_flight.end(self.mint_id)

    def intend(self) -> None:
        """Write the intent; raises `ConflictError` when another rotator was faster."""
        # From here until the token is registered, no other thread searches for orphans.
        self.context.in_flight.begin(self.mint_id)
        intent = new_intent(self.mint_id, self.request, self.api.time.now())
        self._in_store = WriteAheadIntent(self.first, intent).write()

    def mint(self) -> MintedToken:
        """Mint, add the token's id to the intent, and return the token, which is not proven yet."""
        minted = request_token(self.api, self.request)
        # Two mints of this process never make the same token: the answer is confused then.
        if not self.context.in_flight.register_token(self.mint_id, minted.token_id):
            raise error_of_confusion(minted, "which was there before")
        self.minted_id = minted.token_id
        self._in_store = self.intent_in_store.with_token(minted.token_id).write()
        return minted

    def verify(self, minted: MintedToken) -> ServiceToken:
        """Return the token once it is proven; raises `VerificationError`."""
        token = prove_usable(self.api, minted, self.request, self.context.clock())
        self.is_verified = True
        # Others take this rotation for dead, and its token for an orphan, once its time is up.
        if self._is_late():
            raise VerificationError(
                f"the new token {token.name} came too late: rotation_timeout"
                f" ({in_words(self.timeout)}) is nearly over; raise it, or run again when the API"
                " is faster"
            )
        return token

    def promote(self, token: ServiceToken, journal: Journal) -> Journal:
        """Write the token to the first store, and make sure that it is there.

        Returns `journal` as it then stands beside the token. Where the write took so long that
        others may have revoked the token, raises `RevokedMeanwhileError` if they have, and
        `UncertainWriteError` if that cannot be known. A written token is not undone: a bot may have
        read it.
        """
        journal = replace(journal, token_id=token.token_id)
        try:
            journal = self._write_token(token, journal)
        except ConflictError:
            latest = self._find_replaceable()
            if latest is None:
                raise
            self._in_store = self.intent_in_store._replace(observation=latest)
            journal = self._write_token(token, journal)
        self.is_promoted = True
        if self._is_late():
            self._prove_not_revoked(token)
        return journal

    def _write_token(self, token: ServiceToken, journal: Journal) -> Journal:
        """Write the token; the intent goes with the same write, those of others stay."""
        observation = self.intent_in_store.observation
        others = observation.journal.without_intents({self.mint_id}).intents
        journal = replace(journal, intents=others)
        _write_and_confirm(observation, token, journal)
        return journal

    def _find_replaceable(self) -> Observation | None:
        """After a conflict, return what the store shows now, if our token may take its place.

        It may if others only noted something and our intent is still there, or if the API refuses
        the token that is there. It may not once we are late: others may have taken us for dead, and
        the new token for an orphan.
        """
        latest = observe_store(self.first.store)
        if isinstance(latest, Unreachable) or self._is_late():
            return None
        if latest.secret == self.first.secret:  # others only noted something
            is_useless = self.mint_id in {intent.mint_id for intent in latest.journal.intents}
        else:
            is_useless = latest.token is not None and self._is_refused(latest.token)
        return latest if is_useless else None

    def _is_refused(self, token: ServiceToken) -> bool:
        try:
            self.api.exchange(token.secret)
        except TokenRefusedError:
            return True
        except ApiError:
            return False
        return False

    @property
    def intent_in_store(self) -> WriteAheadIntent:
        """Our intent, and the store as we last saw it: after our write, or another rotator's."""
        if self._in_store is None:
            raise RuntimeError("intend comes before every other step")
        return self._in_store

    def _begun_at(self) -> datetime:
        return self.intent_in_store.intent.begun_at

    def _is_late(self) -> bool:
        # The last quarter is for the write: at the end of it others call the intent dead.
        return self.api.time.now() - self._begun_at() > self.timeout * 3 / 4

    def _prove_not_revoked(self, token: ServiceToken) -> None:
        slow = f"writing it took over three quarters of rotation_timeout ({in_words(self.timeout)})"
        try:
            self.api.exchange(token.secret)
        except TokenRefusedError:
            raise RevokedMeanwhileError(
                f"the new token {token.name} was revoked while it was written, since {slow}:"
                " run again"
            ) from None
        except ApiError as error:
            raise UncertainWriteError(
                f"{error}; the new token {token.name} is in its first store, but {slow}, and"
                " another rotator may have revoked it meanwhile: run again"
            ) from None

    # After a failure

    def _undo(self, error: RotatorError) -> RotatorError:
        """Undo what was done until `error`; return the error to raise."""
        if self._in_store is None:
            return NotBegunError(str(error)) if isinstance(error, ConflictError) else error
        if isinstance(error, UncertainWriteError):
            return error
        if self.minted_id is not None:
            return self._revoke_minted(self.minted_id, error)
        if isinstance(error, MintOutcomeUnknownError):
            return self._search_minted(error)
        self._in_store.close()
        return error

    def _search_minted(self, error: RotatorError) -> RotatorError:
        """Look for the token whose answer was lost, or named a wrong one, and revoke it."""
        self.context.in_flight.end(self.mint_id)
        if self.intent_in_store.intent.token_id is not None:
            self._in_store = self.intent_in_store.with_token(None)
            with suppress(StoreError):
                self._in_store = self._in_store.write()
        intent = self.intent_in_store
        # Of the tokens in the API's list, it is the one that only this intent can have made.
        result = reconcile(
            self.context, [intent.intent], self.timeout, was_there=self.request.was_there
        )
        is_settled = self.mint_id in result.settled
        if is_settled:
            intent.close()
        if is_settled and isinstance(error, ConflictError) and not result.trouble:
            return OvertakenError(f"{error}; its token was revoked")
        later = "none is left over" if is_settled else "none is there yet; the next run looks again"
        return ApiError(f"{error}: {result.summary or later}")

    def _revoke_minted(self, token_id: str, error: RotatorError) -> RotatorError:
        intent, failure = self.intent_in_store.with_token(token_id), None
        # It may have come late, since this process slept.
        lasted = max(self.timeout, self.api.time.now() - self._begun_at())
        try:
            found = revoke_if_ours(self.api, intent.intent, lasted)
        except RotatorError as trouble:
            failure = advise_by_hand(trouble, token_id)
            if intent.ensure_noted():
                failure = f"it could not be revoked ({trouble}); the next run tries again"
        else:
            if found is not Found.OURS and not self.is_verified:
                return self._search_minted(error)
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


class WriteAheadIntent(NamedTuple):
    """An intent, and the store whose journal has it, as the store was after the last write."""

    observation: Observation
    intent: Intent

    def write(self) -> WriteAheadIntent:
        """Write it; raises `ConflictError` when another rotator was faster, or a `StoreError`."""
        intent = self.intent
        message = f"the intent to mint was noted in the journal of {self.observation.store.url}"
        fields = {"intent": intent.mint_id, "token_id": intent.token_id}
        journal = self.observation.journal.with_intent(intent)
        written = self.observation.note(journal, Event.INTENDED, message, **fields)
        return self._replace(observation=written)

    def with_token(self, token_id: str | None) -> WriteAheadIntent:
        """Return the intent of a mint that made this token, None if unknown; not yet written."""
        return self._replace(intent=self.intent._replace(token_id=token_id))

    def close(self) -> None:
        """Remove the intent, its token being settled, whatever others wrote meanwhile.

        Where that fails it stays: others that have to mint then wait until they take it for dead.
        """
        observation, mint_id = self.observation, self.intent.mint_id
        message = f"the settled intent was removed from the journal of {observation.store.url}"
        with suppress(StoreError):
            for _ in range(ATTEMPTS):
                journal = observation.journal.without_intents({mint_id})
                if journal == observation.journal:
                    return
                try:
                    observation.note(journal, Event.NOTED, message, intent=mint_id)
                except ConflictError:
                    latest = observe_store(observation.store)
                    if isinstance(latest, Unreachable):
                        return
                    observation = latest
                else:
                    return

    def ensure_noted(self) -> bool:
        """Make sure that the next run finds the intent, whatever others wrote meanwhile."""
        observation = observe_store(self.observation.store)
        if isinstance(observation, Unreachable):
            return False
        try:
            WriteAheadIntent(observation, self.intent).write()
        except StoreError:
            return False
        return True


def new_intent(mint_id: str, request: MintRequest, now: datetime) -> Intent:
    """Return the intent to mint this; `now` is the server's time (aware UTC)."""
    days = None if request.validity is None else request.validity.days
    intent = Intent(mint_id, now.replace(microsecond=0), days, scope_digest(request.scope))
    alike = sorted(
        (row for row in request.young if is_as_wished(row, intent)),
        key=lambda row: row.created_at,
    )
    ids = (row.token_id for row in alike[-_MOST_EARLIER:] if len(row.token_id) <= _UUID)
    return intent._replace(earlier=tuple(ids))


def require_clock(api: TokenApi, request: MintRequest, now: datetime) -> None:
    """Raise `VerificationError` where by this machine's `now` no new token would be accepted."""
    skew = timedelta() if api.time.skew is None else now - api.time.now()
    wrong = describe_skew(skew)
    if wrong and abs(skew) > request.tolerance:
        raise VerificationError(f"{wrong}; no token was minted, as its life could not be checked")


def request_token(api: TokenApi, request: MintRequest) -> MintedToken:
    """Return a new token, of which nothing is proven yet; raises the `ApiError` of the call.

    An answer may be another one's, from a cache or a confused proxy. One that names a token which
    was there before, or another one than it holds, is worth as much as none: raises
    `MintOutcomeUnknownError`.
    """
    minted = api.mint(request.validity, request.scope, request.was_there)
    if request.was_there(minted.token_id):
        raise error_of_confusion(minted, "which was there before")
    with suppress(MalformedTokenError):
        token = ServiceToken.parse(minted.secret)
        if token.token_id != minted.token_id:
            raise error_of_confusion(minted, f"and holds another one ({token.name})")
    return minted


def error_of_confusion(minted: MintedToken, why: str) -> MintOutcomeUnknownError:
    """Return the error about an answer that names a token which it cannot have made."""
    return MintOutcomeUnknownError(
        f"the API's answer to a mint names the token {minted.token_id}, {why}; another one may have"
        " been made"
    )


def prove_usable(
    api: TokenApi, minted: MintedToken, request: MintRequest, now: datetime
) -> ServiceToken:
    """Return the token once its claims fit the request and the server accepts it.

    Raises `VerificationError`; `now` is this machine's time, by which bots will see it expire.
    """
    try:
        token = _check_claims(minted, request, now, api.time.skew)
        api.exchange(token.secret)
    except RotatorError as error:
        raise VerificationError(f"the new token {minted.token_id} is not usable: {error}") from None
    return token


def _write_and_confirm(observation: Observation, token: ServiceToken, journal: Journal) -> None:
    """Write to the first store, and make sure of it.

    A write that failed may have arrived: even a conflict can be with ourselves, where an answer got
    lost and the write was repeated. So the store is read again. Raises the write's error when the
    store shows another secret, and `UncertainWriteError` when the store does not answer, or when
    the write may still arrive.
    """
    try:
        observation.write(token, journal)
    except StoreError as error:
        if _shows(observation.store, token, error):
            if isinstance(error, UnconfirmedWriteError):  # it is there, but perhaps no journal is
                raise UncertainWriteError(
                    f"{error}; the new token {token.name} is in that store all the same, and is"
                    " kept"
                ) from None
            return
        # A store that cannot tell who holds it is behind a network, and so perhaps is our request.
        is_remote = observation.store.held_elsewhere() is None
        if isinstance(error, StoreUnreachableError) and is_remote:
            raise UncertainWriteError(
                f"{error}; the write may still arrive there, so the new token {token.name} was not"
                " revoked: the next run takes it, or revokes it"
            ) from None
        raise


def _shows(store: SecretStore, token: ServiceToken, failure: StoreError) -> bool:
    try:
        entry = store.read()
    except StoreError:
        raise UncertainWriteError(
            f"{failure}; the store does not tell whether it took the new token {token.name}, which"
            " therefore was not revoked: run again when the store answers"
        ) from None
    return isinstance(entry, Entry) and entry.secret == token.secret


def _check_claims(
    minted: MintedToken, request: MintRequest, now: datetime, skew: timedelta | None
) -> ServiceToken:
    try:
        token = ServiceToken.parse(minted.secret)
    except MalformedTokenError as fault:
        raise VerificationError(str(fault)) from None
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
        expected = f"{in_words(request.validity)} from now"
        if wrong := describe_skew(skew):
            expected += f" ({wrong})"
        raise VerificationError(f"it ends {minute(token.expires_at)}, not {expected}")

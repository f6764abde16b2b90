"""Intend, mint, verify, promote: how a new token comes into its first store, or is undone."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from rotator.clock import in_words
from rotator.errors import (
    ApiError,
    ConflictError,
    MintOutcomeUnknownError,
    RotatorError,
    StoreError,
    TokenRefusedError,
    VerificationError,
)
from rotator.minting import Wish, give_back, in_use, mint, verify
from rotator.record import Record, intend, new_run
from rotator.recovery.reconciliation import Reconciler
from rotator.rotation.observe import Reading
from rotator.rotation.store_writes import UncertainWriteError, promote
from rotator.shared import Shared
from rotator.stores.journal import Journal
from rotator.tokens import ServiceToken

if TYPE_CHECKING:
    from rotator.nocturna.service_tokens import Minted


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

"""Promote and spread: write a token to its first store, and then to the others."""

from collections.abc import Iterable

from rotator.errors import ConflictError, StoreError
from rotator.journal import Journal
from rotator.report import StoreReport, StoreState
from rotator.store import Entry, SecretStore
from rotator.survey import Reading
from rotator.tokens import ServiceToken


class NotStoredError(StoreError):
    """The first store certainly does not hold the new token; `conflict` if another was faster."""

    def __init__(self, error: StoreError) -> None:
        super().__init__(str(error))
        self.conflict = isinstance(error, ConflictError)


def promote(reading: Reading, token: ServiceToken, journal: Journal) -> None:
    """Write to the first store, and make sure of it.

    A failed write may have arrived all the same – even a conflict can be with ourselves, where an
    answer got lost and the write was repeated – so the store is read again. Raises
    `NotStoredError` when it shows another secret; when it does not answer either, a `StoreError`
    that says so, since a bot may already have the new token, which must then stay valid.
    """
    try:
        _write(reading, token, journal)
    except StoreError as error:
        if not _shows(reading.store, token, error):
            raise NotStoredError(error) from None


def spread(
    readings: Iterable[Reading], token: ServiceToken, journal: Journal
) -> tuple[StoreReport, ...]:
    """Write to each store; one that fails stays behind until the next run, and is reported."""
    return tuple(_spread_to(reading, token, journal) for reading in readings)


def _spread_to(reading: Reading, token: ServiceToken, journal: Journal) -> StoreReport:
    try:
        _write(reading, token, journal)
    except StoreError as error:
        return StoreReport(reading.store.url, StoreState.BEHIND, str(error))
    return StoreReport(reading.store.url, StoreState.WRITTEN)


def _write(reading: Reading, token: ServiceToken, journal: Journal) -> None:
    reading.store.write(token.secret, journal, expected=reading.found.version)


def _shows(store: SecretStore, token: ServiceToken, failure: StoreError) -> bool:
    try:
        found = store.read()
    except StoreError:
        raise StoreError(
            f"{failure}; the store does not tell whether it took the new token {token.name}, which"
            " therefore was not revoked: run again when the store answers"
        ) from None
    return isinstance(found, Entry) and found.secret == token.secret

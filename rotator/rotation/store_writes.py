"""Promote, spread and note: write a token to its first store and the others, or only a journal."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from rotator.audit import Event, told
from rotator.errors import ConflictError, StoreError, StoreUnreachableError
from rotator.rotation.model import StoreReport, StoreState
from rotator.rotation.observe import Reading, Silence, Survey, look
from rotator.stores.journal import Journal
from rotator.stores.port import Entry, SecretStore
from rotator.tokens import ServiceToken

_ATTEMPTS = 5  # to note something that another rotator's notes do not come in between


class UncertainWriteError(StoreError):
    """The first store may hold the new token, and does not tell."""


def promote(reading: Reading, token: ServiceToken, journal: Journal) -> None:
    """Write to the first store, and make sure of it.

    A failed write may have arrived all the same – even a conflict can be with ourselves, where an
    answer got lost and the write was repeated – so the store is read again. Raises
    what it failed with when the store shows another secret; when it does not answer either, or the
    write can still be on its way, `UncertainWriteError`, since a bot may have or get the new token,
    which must then stay valid.
    """
    try:
        _write(reading, token, journal)
    except StoreError as error:
        if _shows(reading.store, token, error):
            return
        # Where no lock tells who is at work there is a network, and behind it perhaps our request.
        if isinstance(error, StoreUnreachableError) and reading.store.held_elsewhere() is None:
            raise UncertainWriteError(
                f"{error}; the write may still arrive there, so the new token {token.name} was not"
                " revoked: the next run takes it, or revokes it"
            ) from None
        raise


def spread(
    readings: Iterable[Reading], token: ServiceToken, journal: Journal
) -> tuple[StoreReport, ...]:
    """Write to each store; one that fails stays behind until the next run, and is reported.

    Open intents stay in the store that has them, and hooks are noted in the first one only.
    """
    return tuple(
        _spread_to(
            reading, token, replace(journal, intents=reading.found.journal.intents, hooks=())
        )
        for reading in readings
    )


def note(seen: Survey, change: Callable[[Reading], Journal]) -> tuple[Survey, list[str]]:
    """Write every journal that `change` changes; return what then stands, and what went wrong.

    Where another rotator notes something at the same time, `change` is applied to what it left;
    one that has replaced the token carries on with everything that was noted about it.
    """
    noted, troubles = [], []
    for reading in seen.reachable:
        try:
            noted.append(_noted(reading, change))
        except StoreError as error:
            troubles.append(str(error))
    return seen.with_readings(noted), troubles


def _noted(reading: Reading, change: Callable[[Reading], Journal]) -> Reading:
    now, attempts = reading, 0
    while (journal := change(now)) != now.found.journal:
        attempts += 1
        try:
            with told(Event.NOTED, f"the journal in {now.store.url}", store=now.store.url):
                return now.noting(now.store.note(journal, expected=now.found.version), journal)
        except ConflictError:
            again = look(now.store)
            if isinstance(again, Silence):
                raise again.error from None
            if again.secret != now.secret and again.is_recorded:
                return reading
            if again.secret != now.secret or attempts == _ATTEMPTS:
                raise
            now = again
    return now


def _spread_to(reading: Reading, token: ServiceToken, journal: Journal) -> StoreReport:
    try:
        _write(reading, token, journal)
    except StoreError as error:
        return StoreReport(reading.store.url, StoreState.BEHIND, str(error))
    return StoreReport(reading.store.url, StoreState.WRITTEN)


def _write(reading: Reading, token: ServiceToken, journal: Journal) -> None:
    url = reading.store.url
    with told(Event.WRITTEN, f"the token in {url}", store=url, token_id=token.name):
        reading.store.write(token.secret, journal, expected=reading.found.version)


def _shows(store: SecretStore, token: ServiceToken, failure: StoreError) -> bool:
    try:
        found = store.read()
    except StoreError:
        raise UncertainWriteError(
            f"{failure}; the store does not tell whether it took the new token {token.name}, which"
            " therefore was not revoked: run again when the store answers"
        ) from None
    return isinstance(found, Entry) and found.secret == token.secret

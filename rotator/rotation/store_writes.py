"""Promote, spread and note: write a token to its first store and the others, or only a journal."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from rotator.audit import Event, told
from rotator.errors import ConflictError, StoreError, StoreUnreachableError
from rotator.rotation.model import StoreReport, StoreState
from rotator.rotation.observe import Observation, Snapshot, Unreachable, observe_store
from rotator.stores.journal import Journal
from rotator.stores.port import Entry, SecretStore
from rotator.tokens import ServiceToken

_ATTEMPTS = 5  # to note something that another rotator's notes do not come in between


class UncertainWriteError(StoreError):
    """The first store may hold the new token, and does not tell."""


def promote(observation: Observation, token: ServiceToken, journal: Journal) -> None:
    """Write to the first store, and make sure of it.

    A failed write may have arrived all the same – even a conflict can be with ourselves, where an
    answer got lost and the write was repeated – so the store is read again. Raises
    what it failed with when the store shows another secret; when it does not answer either, or the
    write can still be on its way, `UncertainWriteError`, since a bot may have or get the new token,
    which must then stay valid.
    """
    try:
        _write(observation, token, journal)
    except StoreError as error:
        if _shows(observation.store, token, error):
            return
        # Where no lock tells who is at work there is a network, and behind it perhaps our request.
        if isinstance(error, StoreUnreachableError) and observation.store.held_elsewhere() is None:
            raise UncertainWriteError(
                f"{error}; the write may still arrive there, so the new token {token.name} was not"
                " revoked: the next run takes it, or revokes it"
            ) from None
        raise


def spread(
    observations: Iterable[Observation], token: ServiceToken, journal: Journal
) -> tuple[StoreReport, ...]:
    """Write to each store; one that fails stays behind until the next run, and is reported.

    Open intents stay in the store that has them, and hooks are noted in the first one only.
    """
    return tuple(
        _spread_to(
            observation,
            token,
            replace(journal, intents=observation.found.journal.intents, hooks=()),
        )
        for observation in observations
    )


def note(
    snapshot: Snapshot, change: Callable[[Observation], Journal]
) -> tuple[Snapshot, list[str]]:
    """Write every journal that `change` changes; return what then stands, and what went wrong.

    Where another rotator notes something at the same time, `change` is applied to what it left;
    one that has replaced the token carries on with everything that was noted about it.
    """
    noted, troubles = [], []
    for observation in snapshot.reachable:
        try:
            noted.append(_noted(observation, change))
        except StoreError as error:
            troubles.append(str(error))
    return snapshot.with_observations(noted), troubles


def _noted(observation: Observation, change: Callable[[Observation], Journal]) -> Observation:
    now, attempts = observation, 0
    while (journal := change(now)) != now.found.journal:
        attempts += 1
        try:
            with told(Event.NOTED, f"the journal in {now.store.url}", store=now.store.url):
                return now.noting(now.store.note(journal, expected=now.found.version), journal)
        except ConflictError:
            again = observe_store(now.store)
            if isinstance(again, Unreachable):
                raise again.error from None
            if again.secret != now.secret and again.is_written_by_rotator:
                return observation
            if again.secret != now.secret or attempts == _ATTEMPTS:
                raise
            now = again
    return now


def _spread_to(observation: Observation, token: ServiceToken, journal: Journal) -> StoreReport:
    try:
        _write(observation, token, journal)
    except StoreError as error:
        return StoreReport(observation.store.url, StoreState.BEHIND, str(error))
    return StoreReport(observation.store.url, StoreState.WRITTEN)


def _write(observation: Observation, token: ServiceToken, journal: Journal) -> None:
    url = observation.store.url
    with told(Event.WRITTEN, f"the token in {url}", store=url, token_id=token.name):
        observation.store.write(token.secret, journal, expected=observation.found.version)


def _shows(store: SecretStore, token: ServiceToken, failure: StoreError) -> bool:
    try:
        found = store.read()
    except StoreError:
        raise UncertainWriteError(
            f"{failure}; the store does not tell whether it took the new token {token.name}, which"
            " therefore was not revoked: run again when the store answers"
        ) from None
    return isinstance(found, Entry) and found.secret == token.secret

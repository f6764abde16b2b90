"""Writes to stores: promote and spread a token, or note a journal alone."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from rotator.audit import Event, trace
from rotator.errors import ConflictError, StoreError, StoreUnreachableError
from rotator.rotation.model import StoreReport, StoreState
from rotator.rotation.observe import Observation, Snapshot, Unreachable, observe_store
from rotator.stores.journal import Journal
from rotator.stores.port import Entry, SecretStore
from rotator.tokens import ServiceToken

ATTEMPTS = 5  # to note a journal while other rotators note theirs


class UncertainWriteError(StoreError):
    """The first store may hold the new token, which therefore stays valid."""


def promote(observation: Observation, token: ServiceToken, journal: Journal) -> None:
    """Write to the first store, and make sure of it.

    A write that failed may have arrived: even a conflict can be with ourselves, where an answer got
    lost and the write was repeated. So the store is read again. Raises the write's error when the
    store shows another secret, and `UncertainWriteError` when the store does not answer, or when
    the write may still arrive.
    """
    try:
        _write(observation, token, journal)
    except StoreError as error:
        if _shows(observation.store, token, error):
            return
        # A store that cannot tell who holds it is behind a network, and so perhaps is our request.
        is_remote = observation.store.held_elsewhere() is None
        if isinstance(error, StoreUnreachableError) and is_remote:
            raise UncertainWriteError(
                f"{error}; the write may still arrive there, so the new token {token.name} was not"
                " revoked: the next run takes it, or revokes it"
            ) from None
        raise


def spread(
    observations: Iterable[Observation], token: ServiceToken, journal: Journal
) -> tuple[StoreReport, ...]:
    """Write to each store; one that fails stays behind until the next run, and is reported.

    Open intents stay in the store that has them; hooks are noted in the first store only.
    """
    reports = []
    for each in observations:
        state, message = StoreState.WRITTEN, None
        try:
            _write(each, token, replace(journal, intents=each.journal.intents, hooks=()))
        except StoreError as error:
            state, message = StoreState.BEHIND, str(error)
        reports.append(StoreReport(each.store.url, state, message))
    return tuple(reports)


def note(
    snapshot: Snapshot, change: Callable[[Observation], Journal]
) -> tuple[Snapshot, list[str]]:
    """Write each journal that `change` changes; return the new snapshot, and what went wrong.

    Where another rotator notes at the same time, `change` is applied to what it wrote. One that has
    replaced the token also took over what the journal said, so nothing is noted then.
    """
    answers: list[Observation | Unreachable] = []
    troubles: list[str] = []
    for answer in snapshot.answers:
        try:
            answers.append(_note(answer, change) if isinstance(answer, Observation) else answer)
        except StoreError as error:
            answers.append(answer)
            troubles.append(str(error))
    return Snapshot(answers, snapshot.current, snapshot.taken_at), troubles


def write_journal(
    observation: Observation, journal: Journal, event: Event, message: str, **fields: str | None
) -> Observation:
    """Write a journal alone; return what the store then shows. Raises what the store raises."""
    store = observation.store
    with trace(event, message, store=store.url, **fields):
        version = store.note(journal, expected=observation.version)
    return replace(observation, journal=journal, version=version)


def _note(observation: Observation, change: Callable[[Observation], Journal]) -> Observation:
    now, attempts, message = observation, 0, f"the journal in {observation.store.url}"
    while (journal := change(now)) != now.journal:
        attempts += 1
        try:
            return write_journal(now, journal, Event.NOTED, message)
        except ConflictError:
            latest = observe_store(now.store)
            if isinstance(latest, Unreachable):
                raise latest.error from None
            if latest.secret != now.secret and latest.is_written_by_rotator:
                return observation
            if latest.secret != now.secret or attempts == ATTEMPTS:
                raise
            now = latest
    return now


def _write(observation: Observation, token: ServiceToken, journal: Journal) -> None:
    url = observation.store.url
    with trace(Event.WRITTEN, f"the token in {url}", store=url, token_id=token.name):
        observation.store.write(token.secret, journal, expected=observation.version)


def _shows(store: SecretStore, token: ServiceToken, failure: StoreError) -> bool:
    try:
        entry = store.read()
    except StoreError:
        raise UncertainWriteError(
            f"{failure}; the store does not tell whether it took the new token {token.name}, which"
            " therefore was not revoked: run again when the store answers"
        ) from None
    return isinstance(entry, Entry) and entry.secret == token.secret

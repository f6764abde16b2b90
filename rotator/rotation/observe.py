"""The first step of a rotation: read every store of a token and find the current one."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from rotator.errors import (
    MalformedTokenError,
    StoreError,
    StoreUnreachableError,
    internal_error,
)
from rotator.stores.journal import Intent, Journal, PendingRevocation
from rotator.stores.port import Absent, Entry, SecretStore
from rotator.tokens import ServiceToken


class Observation(NamedTuple):
    """What a store answered: a secret that is a token, one that has a fault, or none."""

    store: SecretStore
    found: Entry | Absent
    token: ServiceToken | None = None
    fault: MalformedTokenError | None = None

    def holds(self, token: ServiceToken | None) -> bool:
        """Tell whether this store shows exactly that token."""
        return token is not None and self.token is not None and self.token.secret == token.secret

    @property
    def secret(self) -> str | None:
        """The text that stands in this store, token or not."""
        return self.found.secret if isinstance(self.found, Entry) else None

    @property
    def is_written_by_rotator(self) -> bool:
        """Tell whether the journal is about the token beside it, which a rotator then wrote."""
        return _is_about(self.found.journal, self.token)

    @property
    def known_ids(self) -> frozenset[str]:
        """The ids of the tokens that stand in this store, or stood there by its journal."""
        journal = self.found.journal
        ids = {journal.token_id, journal.previous_token_id, *(o.token_id for o in journal.pending)}
        ids |= {self.token.token_id} if self.token else set()
        return frozenset(token_id for token_id in ids if token_id)

    def noting(self, version: str, journal: Journal) -> "Observation":
        """Return what the store would answer after its journal was written."""
        return self._replace(found=replace(self.found, version=version, journal=journal))


class Unreachable(NamedTuple):
    """A store that did not answer, or not to us."""

    store: SecretStore
    error: StoreError


class Snapshot(NamedTuple):
    """All the stores of one token at one moment; `current` is the newest live token in them."""

    answers: tuple[Observation | Unreachable, ...]
    current: ServiceToken | None

    @property
    def reachable(self) -> tuple[Observation, ...]:
        """The stores that answered, in their configured order."""
        return tuple(answer for answer in self.answers if isinstance(answer, Observation))

    @property
    def behind(self) -> tuple[Observation, ...]:
        """The stores that answered and do not hold the current token."""
        return tuple(
            observation for observation in self.reachable if not observation.holds(self.current)
        )

    @property
    def fault(self) -> MalformedTokenError | None:
        """What is wrong with the text that the first store to hold any shows."""
        return next(
            (observation.fault for observation in self.reachable if observation.fault), None
        )

    @property
    def known_ids(self) -> frozenset[str]:
        """The ids of all tokens that the stores hold, or remember to have held."""
        return frozenset(
            token_id for observation in self.reachable for token_id in observation.known_ids
        )

    @property
    def unreachable(self) -> tuple[Unreachable, ...]:
        """The stores that did not answer."""
        return tuple(answer for answer in self.answers if isinstance(answer, Unreachable))

    @property
    def unreachable_urls(self) -> frozenset[str]:
        """The URLs of the stores that did not answer."""
        return frozenset(unreachable.store.url for unreachable in self.unreachable)

    @property
    def removed_token_id(self) -> str | None:
        """The id of a token that a store showed by its journal, before a hand took it out."""
        ids = (
            observation.found.journal.token_id
            for observation in self.reachable
            if not observation.token
        )
        return next((token_id for token_id in ids if token_id), None)

    @property
    def urls(self) -> frozenset[str]:
        """The URLs of all stores, answering or not."""
        return frozenset(answer.store.url for answer in self.answers)

    def shows(self, token_id: str) -> bool:
        """Tell whether this is the current token's id."""
        return self.current is not None and self.current.token_id == token_id

    def with_observations(self, observations: Iterable[Observation]) -> "Snapshot":
        """Return the survey with these answers in the place of the same stores' earlier ones."""
        new = {observation.store.url: observation for observation in observations}
        return self._replace(answers=tuple(new.get(a.store.url, a) for a in self.answers))

    @property
    def intents(self) -> tuple[Intent, ...]:
        """The open intents in all stores that answered."""
        return tuple(i for observation in self.reachable for i in observation.found.journal.intents)

    @property
    def pending(self) -> tuple[PendingRevocation, ...]:
        """The old tokens that are to be revoked, each as the first store to name it has it."""
        listed = [
            each for observation in self.reachable for each in observation.found.journal.pending
        ]
        return tuple({each.token_id: each for each in reversed(listed)}.values())

    @property
    def hooks(self) -> tuple[str, ...]:
        """The digests of the hooks that are still to be run."""
        listed = [
            hook for observation in self.reachable for hook in observation.found.journal.hooks
        ]
        return tuple(dict.fromkeys(listed))

    @property
    def journal(self) -> Journal:
        """The record beside the current token, empty where there is none about this token."""
        for observation in self.reachable:
            journal = observation.found.journal
            if observation.holds(self.current) and _is_about(journal, self.current):
                return journal
        return Journal()


def _is_about(journal: Journal, token: ServiceToken | None) -> bool:
    # A token that was changed by hand stands beside the journal of the one before.
    return token is not None and journal.token_id is not None and journal.token_id == token.token_id


def observe(stores: Iterable[SecretStore], now: datetime) -> Snapshot:
    """Read each store once; an error of one becomes part of the result."""
    return snapshot_of((observe_store(store) for store in stores), now)


def snapshot_of(answers: Iterable[Observation | Unreachable], now: datetime) -> Snapshot:
    """Return the survey that these answers make."""
    found = tuple(answers)
    return Snapshot(found, _newest([each for each in found if isinstance(each, Observation)], now))


def observe_store(store: SecretStore) -> Observation | Unreachable:
    """Read one store; an error becomes the result."""
    try:
        found = store.read()
    except StoreError as error:
        return Unreachable(store, error)
    except Exception as error:  # noqa: BLE001 - a bug in one store must not keep the others from their turn
        return Unreachable(store, StoreUnreachableError(f"{store.url}: {internal_error(error)}"))
    if isinstance(found, Absent):
        return Observation(store, found)
    try:
        return Observation(store, found, token=ServiceToken.parse(found.secret))
    except MalformedTokenError as fault:
        return Observation(store, found, fault=fault)


def _newest(observations: list[Observation], now: datetime) -> ServiceToken | None:
    replaced = {observation.found.journal.previous_token_id for observation in observations}
    replaced |= {
        pending.token_id
        for observation in observations
        for pending in observation.found.journal.pending
    }
    newest: Observation | None = None
    for observation in observations:
        if observation.token and (newest is None or _is_newer(observation, newest, replaced, now)):
            newest = observation
    return newest.token if newest else None


def _is_newer(
    one: Observation, other: Observation, replaced: set[str | None], now: datetime
) -> bool:
    """Compare two tokens, which carry no date of creation.

    What lives is newer than what does not, and what a journal calls replaced is older. Of two that
    rotators made, the journals tell; beyond that the later expiry is the newer token.
    """
    pairs = [
        (_lives(observation, now), _id(observation) is None or _id(observation) not in replaced)
        for observation in (one, other)
    ]
    if pairs[0] != pairs[1]:
        return pairs[0] > pairs[1]
    minted = [_minted_at(observation) for observation in (one, other)]
    if minted[0] and minted[1]:
        return minted[0] > minted[1]
    return _left(one, now) > _left(other, now)


def _id(observation: Observation) -> str | None:
    return observation.token.token_id if observation.token else None


def _left(observation: Observation, now: datetime) -> timedelta:
    left = observation.token.remaining(now) if observation.token else None
    return timedelta.max if left is None else left


def _lives(observation: Observation, now: datetime) -> bool:
    return _left(observation, now) > timedelta()


def _minted_at(observation: Observation) -> datetime | None:
    journal = observation.found.journal
    return journal.minted_at if journal.token_id and journal.token_id == _id(observation) else None

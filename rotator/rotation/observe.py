"""Observe: read every store of a token, and find the current token."""

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
    """What a store showed: a token, a text that is no token (`fault` says why), or nothing."""

    store: SecretStore
    entry: Entry | Absent
    token: ServiceToken | None = None
    fault: MalformedTokenError | None = None

    def holds(self, token: ServiceToken | None) -> bool:
        """Tell whether the store shows exactly this token."""
        return token is not None and self.token is not None and self.token.secret == token.secret

    @property
    def journal(self) -> Journal:
        """The journal beside the secret."""
        return self.entry.journal

    @property
    def secret(self) -> str | None:
        """The text in the store, token or not."""
        return self.entry.secret if isinstance(self.entry, Entry) else None

    @property
    def is_written_by_rotator(self) -> bool:
        """Tell whether the journal is about the token beside it, which was not put in by hand."""
        token_id = self.journal.token_id
        return self.token is not None and token_id is not None and token_id == self.token.token_id

    @property
    def known_ids(self) -> frozenset[str]:
        """The ids of the tokens that the store shows, or showed by its journal."""
        journal = self.journal
        ids = {journal.token_id, journal.previous_token_id, *(p.token_id for p in journal.pending)}
        ids |= {self.token.token_id} if self.token else set()
        return frozenset(token_id for token_id in ids if token_id)

    def with_journal(self, journal: Journal, version: str) -> "Observation":
        """Return what the store shows once its journal is written."""
        return self._replace(entry=replace(self.entry, version=version, journal=journal))


class Unreachable(NamedTuple):
    """A store that did not answer, or denied access."""

    store: SecretStore
    error: StoreError


class Snapshot(NamedTuple):
    """All stores of one token at one moment; `current` is the newest live token in them."""

    answers: tuple[Observation | Unreachable, ...]
    current: ServiceToken | None

    @property
    def reachable(self) -> tuple[Observation, ...]:
        """The stores that answered, in their configured order."""
        return tuple(answer for answer in self.answers if isinstance(answer, Observation))

    @property
    def behind(self) -> tuple[Observation, ...]:
        """The stores that answered and do not hold the current token."""
        return tuple(each for each in self.reachable if not each.holds(self.current))

    @property
    def fault(self) -> MalformedTokenError | None:
        """What is wrong with the text in the first store that holds no token but a text."""
        return next((each.fault for each in self.reachable if each.fault), None)

    @property
    def known_ids(self) -> frozenset[str]:
        """The ids of all tokens that the stores show, or showed by their journals."""
        return frozenset(token_id for each in self.reachable for token_id in each.known_ids)

    @property
    def unreachable(self) -> tuple[Unreachable, ...]:
        """The stores that did not answer."""
        return tuple(answer for answer in self.answers if isinstance(answer, Unreachable))

    @property
    def unreachable_urls(self) -> frozenset[str]:
        """The URLs of the stores that did not answer."""
        return frozenset(each.store.url for each in self.unreachable)

    @property
    def removed_token_id(self) -> str | None:
        """The id of a token that was removed from a store whose journal still names it."""
        ids = (each.journal.token_id for each in self.reachable if not each.token)
        return next((token_id for token_id in ids if token_id), None)

    @property
    def urls(self) -> frozenset[str]:
        """The URLs of all stores, answering or not."""
        return frozenset(answer.store.url for answer in self.answers)

    def shows(self, token_id: str) -> bool:
        """Tell whether this is the current token's id."""
        return self.current is not None and self.current.token_id == token_id

    def with_observations(self, observations: Iterable[Observation]) -> "Snapshot":
        """Return the snapshot with these in the place of earlier answers of the same stores."""
        new = {each.store.url: each for each in observations}
        return self._replace(answers=tuple(new.get(a.store.url, a) for a in self.answers))

    @property
    def intents(self) -> tuple[Intent, ...]:
        """The open intents in all reachable stores."""
        return tuple(intent for each in self.reachable for intent in each.journal.intents)

    @property
    def pending(self) -> tuple[PendingRevocation, ...]:
        """The pending revocations, each as the first store that names the token has it."""
        listed = [pending for each in self.reachable for pending in each.journal.pending]
        return tuple({each.token_id: each for each in reversed(listed)}.values())

    @property
    def hooks(self) -> tuple[str, ...]:
        """The digests of the hooks that have not worked yet."""
        listed = [hook for each in self.reachable for hook in each.journal.hooks]
        return tuple(dict.fromkeys(listed))

    @property
    def journal(self) -> Journal:
        """The journal about the current token; empty where there is none."""
        for each in self.reachable:
            if each.holds(self.current) and each.is_written_by_rotator:
                return each.journal
        return Journal()


def observe(stores: Iterable[SecretStore], now: datetime) -> Snapshot:
    """Read each store once; `now` (aware UTC) tells which tokens live. Raises nothing."""
    return snapshot_of((observe_store(store) for store in stores), now)


def snapshot_of(answers: Iterable[Observation | Unreachable], now: datetime) -> Snapshot:
    """Return the snapshot that these answers make."""
    answers = tuple(answers)
    observations = [each for each in answers if isinstance(each, Observation)]
    return Snapshot(answers, _newest_token(observations, now))


def observe_store(store: SecretStore) -> Observation | Unreachable:
    """Read one store; an error becomes the answer."""
    try:
        entry = store.read()
    except StoreError as error:
        return Unreachable(store, error)
    except Exception as error:  # noqa: BLE001 - a bug in one backend must not stop the others
        return Unreachable(store, StoreUnreachableError(f"{store.url}: {internal_error(error)}"))
    if isinstance(entry, Absent):
        return Observation(store, entry)
    try:
        return Observation(store, entry, token=ServiceToken.parse(entry.secret))
    except MalformedTokenError as fault:
        return Observation(store, entry, fault=fault)


def _newest_token(observations: list[Observation], now: datetime) -> ServiceToken | None:
    replaced = {each.journal.previous_token_id for each in observations}
    replaced |= {pending.token_id for each in observations for pending in each.journal.pending}
    newest: Observation | None = None
    for each in observations:
        if each.token and (newest is None or _is_newer(each, newest, replaced, now)):
            newest = each
    return newest.token if newest else None


def _is_newer(
    one: Observation, other: Observation, replaced: set[str | None], now: datetime
) -> bool:
    """Compare two tokens, which carry no date of creation.

    A live token is newer than a dead one, and one that a journal calls replaced is older. Between
    two that rotators minted the journals' dates decide, otherwise the later expiry.
    """
    one_rank, other_rank = (
        (_remaining(each, now) > timedelta(), _id(each) is None or _id(each) not in replaced)
        for each in (one, other)
    )
    if one_rank != other_rank:
        return one_rank > other_rank
    one_minted, other_minted = _minted_at(one), _minted_at(other)
    if one_minted and other_minted:
        return one_minted > other_minted
    return _remaining(one, now) > _remaining(other, now)


def _id(observation: Observation) -> str | None:
    return observation.token.token_id if observation.token else None


def _remaining(observation: Observation, now: datetime) -> timedelta:
    left = observation.token.remaining(now) if observation.token else None
    return timedelta.max if left is None else left


def _minted_at(observation: Observation) -> datetime | None:
    return observation.journal.minted_at if observation.is_written_by_rotator else None

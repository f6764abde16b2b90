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
from rotator.stores.journal import Intent, Journal, Owed
from rotator.stores.port import Absent, Entry, SecretStore
from rotator.tokens import ServiceToken


class Reading(NamedTuple):
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
    def is_recorded(self) -> bool:
        """Tell whether the journal is about the token beside it, which a rotator then wrote."""
        return _is_about(self.found.journal, self.token)

    @property
    def known_ids(self) -> frozenset[str]:
        """The ids of the tokens that stand in this store, or stood there by its journal."""
        journal = self.found.journal
        ids = {journal.token_id, journal.previous_token_id, *(o.token_id for o in journal.owed)}
        ids |= {self.token.token_id} if self.token else set()
        return frozenset(token_id for token_id in ids if token_id)

    def noting(self, version: str, journal: Journal) -> "Reading":
        """Return what the store would answer after its journal was written."""
        return self._replace(found=replace(self.found, version=version, journal=journal))


class Silence(NamedTuple):
    """A store that did not answer, or not to us."""

    store: SecretStore
    error: StoreError


class Survey(NamedTuple):
    """All the stores of one token at one moment; `current` is the newest live token in them."""

    answers: tuple[Reading | Silence, ...]
    current: ServiceToken | None

    @property
    def reachable(self) -> tuple[Reading, ...]:
        """The stores that answered, in their configured order."""
        return tuple(answer for answer in self.answers if isinstance(answer, Reading))

    @property
    def behind(self) -> tuple[Reading, ...]:
        """The stores that answered and do not hold the current token."""
        return tuple(reading for reading in self.reachable if not reading.holds(self.current))

    @property
    def fault(self) -> MalformedTokenError | None:
        """What is wrong with the text that the first store to hold any shows."""
        return next((reading.fault for reading in self.reachable if reading.fault), None)

    @property
    def known_ids(self) -> frozenset[str]:
        """The ids of all tokens that the stores hold, or remember to have held."""
        return frozenset(token_id for reading in self.reachable for token_id in reading.known_ids)

    @property
    def silent(self) -> tuple[Silence, ...]:
        """The stores that did not answer."""
        return tuple(answer for answer in self.answers if isinstance(answer, Silence))

    @property
    def silent_urls(self) -> frozenset[str]:
        """The URLs of the stores that did not answer."""
        return frozenset(silence.store.url for silence in self.silent)

    @property
    def emptied_id(self) -> str | None:
        """The id of a token that a store showed by its journal, before a hand took it out."""
        ids = (reading.found.journal.token_id for reading in self.reachable if not reading.token)
        return next((token_id for token_id in ids if token_id), None)

    @property
    def urls(self) -> frozenset[str]:
        """The URLs of all stores, answering or not."""
        return frozenset(answer.store.url for answer in self.answers)

    def shows(self, token_id: str) -> bool:
        """Tell whether this is the current token's id."""
        return self.current is not None and self.current.token_id == token_id

    def with_readings(self, readings: Iterable[Reading]) -> "Survey":
        """Return the survey with these answers in the place of the same stores' earlier ones."""
        new = {reading.store.url: reading for reading in readings}
        return self._replace(answers=tuple(new.get(a.store.url, a) for a in self.answers))

    @property
    def intents(self) -> tuple[Intent, ...]:
        """The open intents in all stores that answered."""
        return tuple(i for reading in self.reachable for i in reading.found.journal.intents)

    @property
    def owed(self) -> tuple[Owed, ...]:
        """The old tokens that are to be revoked, each as the first store to name it has it."""
        listed = [each for reading in self.reachable for each in reading.found.journal.owed]
        return tuple({each.token_id: each for each in reversed(listed)}.values())

    @property
    def hooks(self) -> tuple[str, ...]:
        """The digests of the hooks that are still to be run."""
        listed = [hook for reading in self.reachable for hook in reading.found.journal.hooks]
        return tuple(dict.fromkeys(listed))

    @property
    def journal(self) -> Journal:
        """The record beside the current token, empty where there is none about this token."""
        for reading in self.reachable:
            journal = reading.found.journal
            if reading.holds(self.current) and _is_about(journal, self.current):
                return journal
        return Journal()


def _is_about(journal: Journal, token: ServiceToken | None) -> bool:
    # A token that was changed by hand stands beside the journal of the one before.
    return token is not None and journal.token_id is not None and journal.token_id == token.token_id


def survey(stores: Iterable[SecretStore], now: datetime) -> Survey:
    """Read each store once; an error of one becomes part of the result."""
    return surveyed((look(store) for store in stores), now)


def surveyed(answers: Iterable[Reading | Silence], now: datetime) -> Survey:
    """Return the survey that these answers make."""
    found = tuple(answers)
    return Survey(found, _newest([each for each in found if isinstance(each, Reading)], now))


def look(store: SecretStore) -> Reading | Silence:
    """Read one store; an error becomes the result."""
    try:
        found = store.read()
    except StoreError as error:
        return Silence(store, error)
    except Exception as error:  # noqa: BLE001 - a bug in one store must not keep the others from their turn
        return Silence(store, StoreUnreachableError(f"{store.url}: {internal_error(error)}"))
    if isinstance(found, Absent):
        return Reading(store, found)
    try:
        return Reading(store, found, token=ServiceToken.parse(found.secret))
    except MalformedTokenError as fault:
        return Reading(store, found, fault=fault)


def _newest(readings: list[Reading], now: datetime) -> ServiceToken | None:
    replaced = {reading.found.journal.previous_token_id for reading in readings}
    replaced |= {owed.token_id for reading in readings for owed in reading.found.journal.owed}
    newest: Reading | None = None
    for reading in readings:
        if reading.token and (newest is None or _is_newer(reading, newest, replaced, now)):
            newest = reading
    return newest.token if newest else None


def _is_newer(one: Reading, other: Reading, replaced: set[str | None], now: datetime) -> bool:
    """Compare two tokens, which carry no date of creation.

    What lives is newer than what does not, and what a journal calls replaced is older. Of two that
    rotators made, the journals tell; beyond that the later expiry is the newer token.
    """
    pairs = [
        (_lives(reading, now), _id(reading) is None or _id(reading) not in replaced)
        for reading in (one, other)
    ]
    if pairs[0] != pairs[1]:
        return pairs[0] > pairs[1]
    minted = [_minted_at(reading) for reading in (one, other)]
    if minted[0] and minted[1]:
        return minted[0] > minted[1]
    return _left(one, now) > _left(other, now)


def _id(reading: Reading) -> str | None:
    return reading.token.token_id if reading.token else None


def _left(reading: Reading, now: datetime) -> timedelta:
    left = reading.token.remaining(now) if reading.token else None
    return timedelta.max if left is None else left


def _lives(reading: Reading, now: datetime) -> bool:
    return _left(reading, now) > timedelta()


def _minted_at(reading: Reading) -> datetime | None:
    journal = reading.found.journal
    return journal.minted_at if journal.token_id and journal.token_id == _id(reading) else None

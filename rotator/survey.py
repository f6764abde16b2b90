"""The first step of a rotation: read every store of a token and find the current one."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from rotator.errors import MalformedTokenError, StoreError
from rotator.journal import Journal
from rotator.store import Absent, Entry, SecretStore
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
        ids: set[str | None] = set()
        for reading in self.reachable:
            journal = reading.found.journal
            ids |= {journal.token_id, journal.previous_token_id}
            ids |= {reading.token.token_id} if reading.token else set()
        return frozenset(token_id for token_id in ids if token_id)

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
    answers = tuple(_read(store) for store in stores)
    return Survey(answers, _newest([each for each in answers if isinstance(each, Reading)], now))


def _read(store: SecretStore) -> Reading | Silence:
    try:
        found = store.read()
    except StoreError as error:
        return Silence(store, error)
    if isinstance(found, Absent):
        return Reading(store, found)
    try:
        return Reading(store, found, token=ServiceToken.parse(found.secret))
    except MalformedTokenError as fault:
        return Reading(store, found, fault=fault)


def _newest(readings: list[Reading], now: datetime) -> ServiceToken | None:
    replaced = {reading.found.journal.previous_token_id for reading in readings}
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

"""Inventory: what all stores hold, from one look at each."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from rotator.rotation.ahead import ReadAhead
from rotator.rotation.disuse import due_at
from rotator.rotation.observe import Observation, Unreachable, observe_store
from rotator.rotation.threads import WORKERS, map_in_threads
from rotator.stores.port import Rehearsable, SecretStore

_RECENT = 1.0  # seconds
_SHARE = 10  # an inventory that takes long is used for ten times as long


class Part(StrEnum):
    """What a token is to a store, as `--json` shows it."""

    HELD = "held"
    REPLACED = "replaced"
    OWED = "owed"
    MINTING = "minting"


class Place(NamedTuple):
    """A store, the name of the token that it is configured for, and what a token id is to it.

    `due_at` (aware UTC) is when a pending revocation is due, if nobody uses the token until then
    where it `ends_unused`.
    """

    name: str
    store: str
    part: Part
    due_at: datetime | None = None
    ends_unused: bool = False


class Inventory:
    """What the stores of a fleet showed, each with the name of the token it is configured for.

    Nothing is known of those that are `unreachable`. `known_ids` are the ids of the tokens that the
    others show, or showed by their journals, and `intents` the open ones, each with the token's
    name and its store.
    `places` are by token id the places that know it; a store that knows it twice is there once.
    `scratches` are what scratch places showed: their tokens are nobody's, and may be revoked.
    """

    def __init__(
        self,
        answers: Iterable[tuple[str, Observation | Unreachable]] = (),
        scratches: Sequence[tuple[str, Observation]] = (),
    ) -> None:
        answers = tuple(answers)
        seen = [(name, each) for name, each in answers if isinstance(each, Observation)]
        self.unreachable = [(name, a) for name, a in answers if isinstance(a, Unreachable)]
        self.unreachable_urls = [answer.store.url for _, answer in self.unreachable]
        self.known_ids = frozenset(token_id for _, each in seen for token_id in each.known_ids)
        every = (*seen, *scratches)
        self.intents = [(name, each.store, i) for name, each in every for i in each.journal.intents]
        self.places: dict[str, list[Place]] = {}
        known = [pair for name, each in seen for pair in _known_tokens(name, each)]
        known += [pair for name, each in scratches for pair in _rehearsed_tokens(name, each)]
        for token_id, place in known:
            places = self.places.setdefault(token_id, [])
            if place.store not in {other.store for other in places}:
                places.append(place)

    def holders(self, token_id: str) -> list[Place]:
        """Return the places that show a token to their readers."""
        return [place for place in self.places.get(token_id, ()) if place.part is Part.HELD]

    def possible_holders(self, token_id: str) -> frozenset[str]:
        """Return the URLs of the stores that show a token, and of those that did not answer."""
        return frozenset(
            (*(place.store for place in self.holders(token_id)), *self.unreachable_urls)
        )


class FleetStores:
    """All the stores of one config, opened anew for each inventory; shared by all threads.

    `ahead` serves the looks at those that the tokens have.
    """

    def __init__(
        self,
        open_stores: Callable[[], Sequence[tuple[str, SecretStore]]],
        monotonic: Callable[[], float],
        workers: int = WORKERS,
    ) -> None:
        self._open_stores = open_stores
        self._monotonic = monotonic
        self._workers = workers
        self.ahead = ReadAhead(monotonic, may_lag=True)
        self._ahead = ReadAhead(monotonic)  # of the stores that are opened anew
        self._lock = threading.Lock()
        self._latest = Inventory()
        self._stale_at = float("-inf")

    def has(self, url: str) -> bool:
        """Tell whether this is the canonical URL of one of them; none is looked at."""
        return any(store.url == url for _, store in self._open_stores())

    def take_inventory(self) -> Inventory:
        with self._lock:
            return self._take()

    def recent_inventory(self) -> Inventory:
        """Return an inventory that is a second old, or ten times as old as it took to take it.

        Otherwise n tokens with something to revoke would read n stores n times.
        """
        with self._lock:
            if self._monotonic() > self._stale_at:
                return self._take()
            return self._latest

    def _take(self) -> Inventory:
        begun, stores = self._monotonic(), self._open_stores()
        opened = [store for _, store in stores]
        self._ahead.expect(opened)
        answers = map_in_threads(self._ahead.observe_store, opened, self._workers)
        named = [(name, a) for (name, _), a in zip(stores, answers, strict=True)]
        self._latest = Inventory(named, [*_look_at_scratches(named)])
        self._stale_at = begun + max(_RECENT, _SHARE * (self._monotonic() - begun))
        return self._latest


def _look_at_scratches(
    answers: Iterable[tuple[str, Observation | Unreachable]],
) -> Iterator[tuple[str, Observation]]:
    """Yield what rehearsals have under way, or left; a place that does not answer is left out."""
    for name, answer in answers:
        if isinstance(answer, Observation) and answer.has_scratch:
            store = answer.store
            scratch = store.scratch() if isinstance(store, Rehearsable) else None
            seen = observe_store(scratch) if scratch else None
            if isinstance(seen, Observation):
                yield name, seen


def _rehearsed_tokens(name: str, seen: Observation) -> Iterator[tuple[str, Place]]:
    written = {seen.journal.token_id, seen.token.token_id if seen.token else None}
    for token_id in written | {intent.token_id for intent in seen.journal.intents}:
        if token_id:
            yield token_id, Place(name, seen.store.url, Part.MINTING)


def _known_tokens(name: str, observation: Observation) -> Iterator[tuple[str, Place]]:
    """Yield the ids that a store knows; of one that it knows twice, what matters more is first."""
    url, journal = observation.store.url, observation.journal
    if observation.token and observation.token.token_id:
        yield observation.token.token_id, Place(name, url, Part.HELD)
    for intent in journal.intents:
        if intent.token_id:
            yield intent.token_id, Place(name, url, Part.MINTING)
    for pending in journal.pending:
        disuse = pending.disuse
        due = due_at(pending, disuse) if disuse else pending.due_at
        yield pending.token_id, Place(name, url, Part.OWED, due, disuse is not None)
    for token_id in sorted(observation.known_ids):
        yield token_id, Place(name, url, Part.REPLACED)

"""One look at all stores: which tokens and which open intents they hold."""

import re
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from rotator.clock import rfc3339
from rotator.config.settings import Settings, TokenSettings
from rotator.errors import one_line
from rotator.rotation.observe import Observation, Unreachable, observe_store
from rotator.stores.journal import Intent
from rotator.stores.port import SecretStore

if TYPE_CHECKING:
    from rotator.nocturna.service_tokens import ListedToken

_RECENT = 1.0  # seconds
_HOUR = 3600.0
_SHARE = 10  # of the time: a look that takes long is used for so much longer


class Inventory(NamedTuple):
    """One look at every store of the fleet."""

    answers: tuple[Observation | Unreachable, ...] = ()

    @property
    def unreachable(self) -> tuple[str, ...]:
        """The URLs of the stores that did not answer, about which nothing can be said."""
        return tuple(each.store.url for each in self.answers if isinstance(each, Unreachable))

    @property
    def known_ids(self) -> frozenset[str]:
        """The ids of the tokens that stand in the stores, or stood there by their journals."""
        return frozenset(token_id for reading in self._readings for token_id in reading.known_ids)

    @property
    def intents(self) -> Iterator[tuple[SecretStore, Intent]]:
        """Every open intent, with the store that holds it."""
        for reading in self._readings:
            for intent in reading.found.journal.intents:
                yield reading.store, intent

    def holders(self, token_id: str) -> frozenset[str]:
        """Return the URLs of the stores that show this token, or might: those that are silent."""
        holders = (r.store.url for r in self._readings if r.token and r.token.token_id == token_id)
        return frozenset((*holders, *self.unreachable))

    @property
    def _readings(self) -> Iterator[Observation]:
        return (each for each in self.answers if isinstance(each, Observation))


class FleetStores:
    """All the stores of one config, opened for each look; safe to share between threads."""

    def __init__(
        self, open_stores: Callable[[], Sequence[SecretStore]], monotonic: Callable[[], float]
    ) -> None:
        self._open_stores = open_stores
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._seen = Inventory()
        self._stale_at = float("-inf")
        self._known_ids: frozenset[str] = frozenset()
        self._known_until = float("-inf")

    def look(self) -> Inventory:
        """Read every store now."""
        with self._lock:
            return self._read()

    def known_ids(self) -> frozenset[str]:
        """Return the ids that the stores knew within the hour; a new token is none of them."""
        with self._lock:
            if self._monotonic() > self._known_until:
                self._known_ids = self._taken().known_ids
                self._known_until = self._monotonic() + _HOUR
            return self._known_ids

    def recent(self) -> Inventory:
        """Return a look that is a second old, or ten times as old as it took to take it.

        The tokens of a fleet must not mean its square in reads.
        """
        with self._lock:
            if self._monotonic() > self._stale_at:
                return self._read()
            return self._seen

    def _read(self) -> Inventory:
        begun = self._monotonic()
        self._seen = self._taken()
        self._stale_at = begun + max(_RECENT, _SHARE * (self._monotonic() - begun))
        return self._seen

    def _taken(self) -> Inventory:
        return Inventory(tuple(observe_store(store) for store in self._open_stores()))


Item = TypeVar("Item")
Seen = TypeVar("Seen")


def map_in_threads(act: Callable[[Item], Seen], items: Sequence[Item]) -> list[Seen]:
    """Apply `act`, which raises nothing, to each item; return the results in their order."""
    if len(items) < 2:  # noqa: PLR2004 - one needs no threads
        return [act(item) for item in items]
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - (the same)

    with ThreadPoolExecutor(WORKERS, "look") as pool:
        return list(pool.map(act, items))


class Part(StrEnum):
    """What a token is to a store, as `--json` shows it."""

    HELD = "held"
    REPLACED = "replaced"
    OWED = "owed"
    MINTING = "minting"


class Place(NamedTuple):
    """A store, the name of the token that is kept there, and what some token id is to it.

    `due_at` is when a token that is owed is to be revoked (aware UTC).
    """

    name: str
    store: str
    part: Part
    due_at: datetime | None = None


class Stock(NamedTuple):
    """One look at all stores: by token id the places that know it, and the stores that are silent.

    The silent ones come with the name of their token.
    """

    places: Mapping[str, Sequence[Place]]
    unreachable: Sequence[tuple[str, Unreachable]] = ()

    def of(self, token_id: str) -> Sequence[Place]:
        """Return the places that know a token."""
        return self.places.get(token_id, ())

    def holders(self, token_id: str) -> list[Place]:
        """Return the places that show a token to their readers."""
        return [place for place in self.of(token_id) if place.part is Part.HELD]


def read_all(tokens: Sequence[tuple[TokenSettings, Sequence[SecretStore]]]) -> Stock:
    """Read every store of these tokens once."""

    def answers(
        each: tuple[TokenSettings, Sequence[SecretStore]],
    ) -> list[Observation | Unreachable]:
        return [observe_store(store) for store in each[1]]

    return stocked([token.name for token, _ in tokens], map_in_threads(answers, tokens))


def stocked(names: Sequence[str], answers: Sequence[Sequence[Observation | Unreachable]]) -> Stock:
    """Return what these answers of the stores of each named token tell."""
    places: defaultdict[str, list[Place]] = defaultdict(list)
    unreachable = []
    for name, each in ((n, one) for n, many in zip(names, answers, strict=True) for one in many):
        if isinstance(each, Unreachable):
            unreachable.append((name, each))
            continue
        for token_id, place in _known(name, each):
            if place.store not in {other.store for other in places[token_id]}:
                places[token_id].append(place)
    return Stock(dict(places), unreachable)


def _known(name: str, reading: Observation) -> Iterator[tuple[str, Place]]:
    """Return the ids that a store knows; of one that it knows twice, what matters more is first."""
    url, journal = reading.store.url, reading.found.journal
    if reading.token and reading.token.token_id:
        yield reading.token.token_id, Place(name, url, Part.HELD)
    for intent in journal.intents:
        if intent.token_id:
            yield intent.token_id, Place(name, url, Part.MINTING)
    for pending in journal.pending:
        yield pending.token_id, Place(name, url, Part.OWED, pending.due_at)
    for token_id in (journal.token_id, journal.previous_token_id):
        if token_id:
            yield token_id, Place(name, url, Part.REPLACED)


ETERNITY = timedelta(days=36500)  # what the API's list shows for a token without an end
_SLACK = timedelta(minutes=1)
_TOKEN = re.compile(r"eyJ[\w.-]+")
_LONGEST_SCOPE = 60


class RowStatus(StrEnum):
    """What is to be thought of a listed token, as `--json` shows it."""

    HELD = "held"
    REPLACED = "replaced"
    MINTING = "minting"
    ORPHAN = "orphan"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


class Row(NamedTuple):
    """A listed token; times are aware UTC, `expires_at` is None when it never ends.

    `left` is by the server's clock. `own` tells whether the admin of the config has made it.
    """

    token_id: str
    status: RowStatus
    scope: str
    own: bool
    created_at: datetime
    expires_at: datetime | None
    left: timedelta | None
    last_used_at: datetime | None
    places: Sequence[Place]

    def to_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints, with stable keys."""
        seconds = None if self.left is None else self.left.total_seconds()
        return {
            "token_id": self.token_id,
            "status": self.status,
            "scope": self.scope,
            "own": self.own,
            "created_at": rfc3339(self.created_at),
            "expires_at": rfc3339(self.expires_at) if self.expires_at else None,
            "seconds_left": None if seconds is None else int(seconds),
            "days_left": None if seconds is None else round(seconds / 86400, 3),
            "last_used_at": rfc3339(self.last_used_at) if self.last_used_at else None,
            "stores": [
                {"name": place.name, "store": place.store, "status": place.part}
                for place in self.places
            ],
        }


def rows(
    listed: Sequence["ListedToken"], stock: Stock, account: str, now: datetime, under_way: timedelta
) -> list[Row]:
    """Return what is listed, sorted by expiry; `now` is the server's time.

    A token that is younger than `under_way` may be on its way to a store.
    """
    found = [_row(each, stock, account, now, under_way) for each in listed]
    return sorted(found, key=lambda row: (row.left is None, row.left, row.token_id))


def longest_rotation(settings: Settings) -> timedelta:
    """Return how long a token may be on its way to its store."""
    return max(token.rotation_timeout for token in settings.tokens)


def ends_at(listed: "ListedToken") -> datetime | None:
    """Return when the API ends a token, None for an eternal one."""
    eternal = listed.expires_at - listed.created_at > ETERNITY - _SLACK
    return None if eternal else listed.expires_at


def _row(
    listed: "ListedToken", stock: Stock, account: str, now: datetime, under_way: timedelta
) -> Row:
    end = ends_at(listed)
    return Row(
        token_id=listed.token_id,
        status=_status(listed, stock, now, under_way),
        scope=_printable(listed.scope or ""),
        own=listed.user_id == account,
        created_at=listed.created_at,
        expires_at=end,
        left=end - now if end else None,
        last_used_at=listed.last_used_at,
        places=stock.of(listed.token_id),
    )


def _status(listed: "ListedToken", stock: Stock, now: datetime, under_way: timedelta) -> RowStatus:
    parts = {place.part for place in stock.of(listed.token_id)}
    if Part.HELD in parts:
        return RowStatus.HELD
    if listed.expires_at <= now:
        return RowStatus.EXPIRED
    if Part.MINTING in parts:
        return RowStatus.MINTING
    if parts:
        return RowStatus.REPLACED
    if stock.unreachable or listed.created_at > now - under_way:
        return RowStatus.UNKNOWN
    return RowStatus.ORPHAN


def _printable(scope: str) -> str:
    """Return a scope, which may be any text, without what steers a terminal, and without tokens."""
    text = _TOKEN.sub("<token>", one_line(scope))
    return text if len(text) <= _LONGEST_SCOPE else f"{text[:_LONGEST_SCOPE]}…"


# Half of a rotation is waiting for the API and the disk; more threads than this mostly wait for
# each other: on two cores, 1,000 rotations took 11.4 s with 16 of them, and 10.8 s with 8.
WORKERS = 8

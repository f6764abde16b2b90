"""Inventory: what all stores hold, from one look at each."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from rotator.clock import ONE_DAY, rfc3339
from rotator.config.settings import Settings
from rotator.errors import hide_tokens
from rotator.rotation.observe import Observation, Unreachable, observe_store
from rotator.stores.port import SecretStore

if TYPE_CHECKING:
    from rotator.nocturna.service_tokens import ListedToken

# Half of a rotation is waiting for the API and the disk; more threads than this mostly wait for
# each other: on two cores, 1,000 rotations took 11.4 s with 16 of them, and 10.8 s with 8.
WORKERS = 8

_RECENT = 1.0  # seconds
_SHARE = 10  # an inventory that takes long is used for ten times as long

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def map_in_threads(act: Callable[[_Item], _Result], items: Sequence[_Item]) -> list[_Result]:
    """Apply `act`, which raises nothing, to each item; return the results in their order."""
    if len(items) <= 1:
        return [act(item) for item in items]
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - one token needs no threads

    with ThreadPoolExecutor(WORKERS, "rotation") as pool:
        contexts = [copy_context() for _ in items]  # with the time budget of this thread
        return list(pool.map(lambda context, item: context.run(act, item), contexts, items))


class Part(StrEnum):
    """What a token is to a store, as `--json` shows it."""

    HELD = "held"
    REPLACED = "replaced"
    OWED = "owed"
    MINTING = "minting"


class Place(NamedTuple):
    """A store, the name of the token that it is configured for, and what a token id is to it.

    `due_at` (aware UTC) is when a pending revocation is due.
    """

    name: str
    store: str
    part: Part
    due_at: datetime | None = None


class Inventory:
    """What the stores of a fleet showed, each with the name of the token it is configured for.

    Nothing is known of those that are `unreachable`. `known_ids` are the ids of the tokens that the
    others show, or showed by their journals, and `intents` the open ones, each with its store.
    `places` are by token id the places that know it; a store that knows it twice is there once.
    """

    def __init__(self, answers: Iterable[tuple[str, Observation | Unreachable]] = ()) -> None:
        answers = tuple(answers)
        seen = [(name, each) for name, each in answers if isinstance(each, Observation)]
        self.unreachable = [(name, a) for name, a in answers if isinstance(a, Unreachable)]
        self.unreachable_urls = [answer.store.url for _, answer in self.unreachable]
        self.known_ids = frozenset(token_id for _, each in seen for token_id in each.known_ids)
        self.intents = [(each.store, intent) for _, each in seen for intent in each.journal.intents]
        self.places: dict[str, list[Place]] = {}
        for name, observation in seen:
            for token_id, place in _known_tokens(name, observation):
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


@dataclass(eq=False, repr=False)
class FleetStores:
    """All the stores of one config, opened anew for each inventory; shared by all threads."""

    _open_stores: Callable[[], Sequence[tuple[str, SecretStore]]]
    _monotonic: Callable[[], float]

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._latest = Inventory()
        self._stale_at = float("-inf")

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
        answers = map_in_threads(observe_store, [store for _, store in stores])
        self._latest = Inventory((name, a) for (name, _), a in zip(stores, answers, strict=True))
        self._stale_at = begun + max(_RECENT, _SHARE * (self._monotonic() - begun))
        return self._latest


def _known_tokens(name: str, observation: Observation) -> Iterator[tuple[str, Place]]:
    """Yield the ids that a store knows; of one that it knows twice, what matters more is first."""
    url, journal = observation.store.url, observation.journal
    if observation.token and observation.token.token_id:
        yield observation.token.token_id, Place(name, url, Part.HELD)
    for intent in journal.intents:
        if intent.token_id:
            yield intent.token_id, Place(name, url, Part.MINTING)
    for pending in journal.pending:
        yield pending.token_id, Place(name, url, Part.OWED, pending.due_at)
    for token_id in sorted(observation.known_ids):
        yield token_id, Place(name, url, Part.REPLACED)


ETERNITY = 36500 * ONE_DAY  # what the API's list shows for a token without an end
# A proxy dates the answers, the API's database the rows: two clocks.
SLACK = timedelta(minutes=1)
_LONGEST_SCOPE = 60


class RowStatus(StrEnum):
    """What a listed token is to the stores, as `--json` shows it."""

    HELD = "held"
    REPLACED = "replaced"
    MINTING = "minting"
    ORPHAN = "orphan"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


class TokenRow(NamedTuple):
    """A token of the API's list; times are aware UTC, `expires_at` is None for an eternal one.

    `left` is by the server's clock. `own` tells whether the admin of the config minted it.
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


def list_rows(
    listed: Sequence["ListedToken"],
    inventory: Inventory,
    account: str,
    now: datetime,
    under_way: timedelta,
) -> list[TokenRow]:
    """Return the listed tokens, sorted by expiry; `now` is the server's time.

    A token that is younger than `under_way` may be on its way to a store.
    """
    rows = []
    for each in listed:
        end = ends_at(each)
        scope = hide_tokens(each.scope or "")  # it may be any text
        row = TokenRow(
            token_id=each.token_id,
            status=_status(each, inventory, now, under_way),
            scope=scope if len(scope) <= _LONGEST_SCOPE else f"{scope[:_LONGEST_SCOPE]}…",
            own=each.user_id == account,
            created_at=each.created_at,
            expires_at=end,
            left=end - now if end else None,
            last_used_at=each.last_used_at,
            places=inventory.places.get(each.token_id, ()),
        )
        rows.append(row)
    return sorted(rows, key=lambda row: (row.left is None, row.left, row.token_id))


def longest_rotation(settings: Settings) -> timedelta:
    """Return how long a new token may take to reach its store."""
    return max(token.rotation_timeout for token in settings.tokens)


def ends_at(listed: "ListedToken") -> datetime | None:
    """Return when the API ends a token, None for an eternal one."""
    eternal = listed.expires_at - listed.created_at > ETERNITY - SLACK
    return None if eternal else listed.expires_at


def _status(
    listed: "ListedToken", inventory: Inventory, now: datetime, under_way: timedelta
) -> RowStatus:
    parts = {place.part for place in inventory.places.get(listed.token_id, ())}
    if Part.HELD in parts:
        return RowStatus.HELD
    if listed.expires_at <= now:
        return RowStatus.EXPIRED
    if Part.MINTING in parts:
        return RowStatus.MINTING
    if parts:
        return RowStatus.REPLACED
    if inventory.unreachable or listed.created_at > now - under_way:
        return RowStatus.UNKNOWN
    return RowStatus.ORPHAN

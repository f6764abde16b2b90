"""Listing: the tokens of the API's list, each beside the stores that know it."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from rotator.clock import ONE_DAY, SLACK, in_days, minute, rfc3339, rfc3339_or_none
from rotator.config.settings import ROTATION_TIMEOUT, TokenSettings
from rotator.errors import hide_tokens
from rotator.rotation.inventory import Inventory, Part, Place

if TYPE_CHECKING:
    from rotator.nocturna.service_tokens import ListedToken

ETERNITY = 36500 * ONE_DAY  # what the API's list shows for a token without an end
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

    `left` is by the server's clock. `own` tells whether the admin of the config minted it. `api` is
    the name of the API that lists it, if that has one.
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
    api: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints, with stable keys."""
        seconds = None if self.left is None else self.left.total_seconds()
        return {
            **({"api": self.api} if self.api else {}),
            "token_id": self.token_id,
            "status": self.status,
            "scope": self.scope,
            "own": self.own,
            "created_at": rfc3339(self.created_at),
            "expires_at": rfc3339_or_none(self.expires_at),
            "seconds_left": None if seconds is None else int(seconds),
            "days_left": in_days(seconds),
            "last_used_at": rfc3339_or_none(self.last_used_at),
            "stores": [
                {"name": place.name, "store": place.store, "status": place.part}
                for place in self.places
            ],
        }

    def describe_last_use(self) -> str:
        """Say when somebody last used the token, as far as the API knows."""
        return f"last used {minute(self.last_used_at)}" if self.last_used_at else "never used"


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


def describe_young(rows: Iterable[TokenRow]) -> str | None:
    """Say how many tokens of the config's admin are too young to be called orphans, if any."""
    count = sum(row.own and row.status in (RowStatus.UNKNOWN, RowStatus.MINTING) for row in rows)
    if not count:
        return None
    return f"{count_live(count)} of this admin may be on the way to a store, too young to tell"


def count_live(count: int) -> str:
    return "1 live token" if count == 1 else f"{count} live tokens"


def longest_rotation(tokens: Iterable[TokenSettings]) -> timedelta:
    """Return how long a new token may take to reach its store."""
    return max((token.rotation_timeout for token in tokens), default=ROTATION_TIMEOUT)


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

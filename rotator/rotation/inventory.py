"""One service token as the API lists it, and what the stores of the config say of it."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from rotator.cli.logs import one_line
from rotator.clock import rfc3339
from rotator.config.settings import Settings
from rotator.listing.stock import Part, Place, Stock

if TYPE_CHECKING:
    from rotator.nocturna.listed import Listed

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
    listed: Sequence["Listed"], stock: Stock, account: str, now: datetime, under_way: timedelta
) -> list[Row]:
    """Return what is listed, sorted by expiry; `now` is the server's time.

    A token that is younger than `under_way` may be on its way to a store.
    """
    found = [_row(each, stock, account, now, under_way) for each in listed]
    return sorted(found, key=lambda row: (row.left is None, row.left, row.token_id))


def longest_rotation(settings: Settings) -> timedelta:
    """Return how long a token may be on its way to its store."""
    return max(token.rotation_timeout for token in settings.tokens)


def ends_at(listed: "Listed") -> datetime | None:
    """Return when the API ends a token, None for an eternal one."""
    eternal = listed.expires_at - listed.created_at > ETERNITY - _SLACK
    return None if eternal else listed.expires_at


def _row(listed: "Listed", stock: Stock, account: str, now: datetime, under_way: timedelta) -> Row:
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


def _status(listed: "Listed", stock: Stock, now: datetime, under_way: timedelta) -> RowStatus:
    parts = {place.part for place in stock.of(listed.token_id)}
    if Part.HELD in parts:
        return RowStatus.HELD
    if listed.expires_at <= now:
        return RowStatus.EXPIRED
    if Part.MINTING in parts:
        return RowStatus.MINTING
    if parts:
        return RowStatus.REPLACED
    if stock.silent or listed.created_at > now - under_way:
        return RowStatus.UNKNOWN
    return RowStatus.ORPHAN


def _printable(scope: str) -> str:
    """Return a scope, which may be any text, without what steers a terminal, and without tokens."""
    text = _TOKEN.sub("<token>", one_line(scope))
    return text if len(text) <= _LONGEST_SCOPE else f"{text[:_LONGEST_SCOPE]}…"

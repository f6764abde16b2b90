"""`rotator tokens list`: the API's list as text, as a table, as JSON or as CSV."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import NamedTuple

from rotator import wiring
from rotator.cli import exit_codes, output
from rotator.cli.spreadsheet import as_csv
from rotator.cli.tables import render_table
from rotator.clock import in_words, minute, utc_now
from rotator.config.settings import Settings
from rotator.rotation.inventory import Part, Place
from rotator.rotation.listing import (
    RowStatus,
    TokenRow,
    describe_young,
    list_rows,
    longest_rotation,
)
from rotator.stores.port import DEFAULT_FIELD

COLUMNS = (
    *("token_id", "status", "scope", "own", "created_at", "expires_at", "days_left"),
    *("last_used_at", "stores"),
)
_COLOURS = {RowStatus.HELD: "green", RowStatus.ORPHAN: "yellow", RowStatus.UNKNOWN: "magenta"}
_log = logging.getLogger(__name__)


class ListFormat(Enum):
    TEXT = auto()
    JSON = auto()
    CSV = auto()


class Filter(NamedTuple):
    """Which rows are shown: orphans only, and those that nobody has used for a time."""

    orphans: bool = False
    unused: timedelta | None = None

    def takes(self, row: TokenRow, now: datetime) -> bool:
        if self.orphans and row.status is not RowStatus.ORPHAN:
            return False
        return self.unused is None or now - (row.last_used_at or row.created_at) >= self.unused


EVERYTHING = Filter()


def show_tokens(
    settings: Settings, form: ListFormat = ListFormat.TEXT, wanted: Filter = EVERYTHING
) -> int:
    """Print the list and return the exit code."""
    [of_api] = settings.apis
    wiring.require_login(of_api)
    fleet = wiring.fleet_stores(settings)
    api = wiring.lazy_api(of_api, utc_now)()
    # In this order: a token that is minted meanwhile is not listed, instead of without its store.
    listed, account = api.list_tokens(), api.account()
    api.log_out()
    inventory = fleet.take_inventory()
    now = api.time.now()
    every = list_rows(listed, inventory, account, now, longest_rotation(settings.tokens))
    rows = [row for row in every if wanted.takes(row, now)]
    match form:
        case ListFormat.JSON:
            output.write(output.as_json(rows))
        case ListFormat.CSV:
            output.write(as_csv(COLUMNS, map(_cells, rows)))
        case _ if not rows and every:
            output.write(f"none of the {len(every)} tokens that the API lists\n")
        case _:
            output.write(as_table(rows) if output.can_draw() else as_lines(rows))
    for token_id in inventory.places.keys() - {row.token_id for row in every}:
        for place in inventory.holders(token_id):
            _log.warning(
                "%s: the token in %s is not in the API's list: it was revoked, or minted just now",
                *(place.name, place.store),
            )
    if wanted.orphans and not inventory.unreachable and (young := describe_young(every)):
        _log.warning("%s: look again in some minutes", young)
    for name, unreachable in inventory.unreachable:
        _log.error("%s: %s", name, unreachable.error)
    return exit_codes.FAILED if inventory.unreachable else exit_codes.OK


def as_lines(rows: Sequence[TokenRow]) -> str:
    return "".join(f"{_line(row)}\n" for row in rows) or "the API lists no service token\n"


def as_table(rows: Sequence[TokenRow]) -> str:
    """Return a table as a terminal shows it; one that is narrow gets fewer columns."""
    from rich.markup import escape  # noqa: PLC0415 - only a terminal needs it

    if not rows:
        return as_lines(rows)
    return render_table(
        ["id", "status", "left", "last used", "expires", "created", "scope", "where"],
        [
            (
                row.token_id,
                f"[{_COLOURS.get(row.status, 'dim')}]{row.status}[/]",
                _left(row),
                f"{row.last_used_at:%Y-%m-%d}" if row.last_used_at else "never",
                f"{row.expires_at:%Y-%m-%d}" if row.expires_at else "never",
                f"{row.created_at:%Y-%m-%d}",
                escape(row.scope),
                escape("\n".join(_places(row))),
            )
            for row in rows
        ],
        ["scope", "created", "expires", "last used"],
    )


def _cells(row: TokenRow) -> dict[str, object]:
    shown = row.to_json()
    stores = " ".join(f"{place.store} ({place.part})" for place in row.places)
    return {**{name: shown[name] for name in COLUMNS}, "stores": stores}


def _line(row: TokenRow) -> str:
    end = f"expires {minute(row.expires_at)} ({_left(row)})" if row.expires_at else "never expires"
    used = f"last used {minute(row.last_used_at)}" if row.last_used_at else "never used"
    words = (end, f"created {minute(row.created_at)}", used, f"scope {row.scope or '–'}")
    return f"{row.token_id}: {row.status} – {', '.join((*words, *_places(row)))}"


def _left(row: TokenRow) -> str:
    if row.left is None:
        return "for ever"
    span = in_words(row.left)
    return span if row.left.total_seconds() > 0 else f"over for {span}"


def _places(row: TokenRow) -> list[str]:
    """Describe the stores that know a token, or say why none does."""
    if row.places:
        return [_place(place) for place in row.places]
    reasons = [] if row.own else ["another admin's"]
    if row.status is RowStatus.UNKNOWN:
        reasons.append("a store does not answer, or the token may be on its way to one")
    return reasons


def _place(place: Place) -> str:
    url = place.store.removesuffix(f"#{DEFAULT_FIELD}")
    match place.part:
        case Part.OWED if place.due_at:
            unused = " if nobody uses it until then" if place.ends_unused else ""
            return f"{place.name}: {url} (to be revoked from {minute(place.due_at)} on{unused})"
        case Part.HELD:
            return f"{place.name}: {url}"
        case part:
            return f"{place.name}: {url} ({part})"

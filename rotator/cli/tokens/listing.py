"""`rotator tokens list`: the API's list as text, as a table, as JSON or as CSV."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple, Self

from rotator import wiring
from rotator.cli import exit_codes, output
from rotator.cli.spreadsheet import as_csv
from rotator.cli.tables import render_table
from rotator.clock import in_words, minute, utc_now
from rotator.config.settings import ApiSettings, Settings, TokenSettings
from rotator.errors import RotatorError
from rotator.rotation.inventory import Inventory, Part, Place
from rotator.rotation.listing import (
    RowStatus,
    TokenRow,
    describe_young,
    list_rows,
    longest_rotation,
)
from rotator.stores.port import shorten_url
from rotator.wiring import requirements, selection

if TYPE_CHECKING:
    from rotator.nocturna.service_tokens import ListedToken, TokenApi

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


class ApiList(NamedTuple):
    """What one API lists, and the id of the admin's account."""

    settings: ApiSettings
    api: TokenApi
    listed: Sequence[ListedToken]
    account: str

    @classmethod
    def ask(cls, settings: ApiSettings) -> Self:
        api = wiring.lazy_api(settings, utc_now)()
        listed, account = api.list_tokens(), api.account()
        api.log_out()
        return cls(settings, api, listed, account)

    def compare(self, inventory: Inventory, tokens: Sequence[TokenSettings]) -> list[TokenRow]:
        """Return the list beside what the stores hold; `tokens` are those of this API."""
        now, longest = self.api.time.now(), longest_rotation(tokens)
        rows = list_rows(self.listed, inventory, self.account, now, longest)
        return [row._replace(api=self.settings.name) for row in rows]


def show_tokens(
    settings: Settings,
    form: ListFormat = ListFormat.TEXT,
    wanted: Filter = EVERYTHING,
    api_name: str | None = None,
) -> int:
    """Print the lists of all APIs, or of the named one, and return the exit code.

    One of several that does not answer is told, and left out.
    """
    apis = selection.choose_apis(settings, api_name)
    for api in apis:
        requirements.require_login(api)
    fleet = wiring.fleet_stores(settings)
    # In this order: a token that is minted meanwhile is not listed, instead of without its store.
    lists = list(_ask_all(apis))
    inventory = fleet.take_inventory()
    every: list[TokenRow] = []
    rows: list[TokenRow] = []
    for each in lists:
        tokens = settings.tokens_of(each.settings)
        found = each.compare(inventory, tokens)
        every += found
        rows += [row for row in found if wanted.takes(row, each.api.time.now())]
        _tell_unlisted(inventory, found, {token.name for token in tokens})
    match form:
        case ListFormat.JSON:
            output.write(output.as_json(rows))
        case ListFormat.CSV:
            columns = ("api", *COLUMNS) if apis[0].name else COLUMNS
            output.write(as_csv(columns, map(_cells, rows)))
        case _ if not rows and every:
            output.write(f"none of the {len(every)} tokens that the API lists\n")
        case _:
            output.write(as_table(rows) if output.can_draw() else as_lines(rows))
    if wanted.orphans and not inventory.unreachable and (young := describe_young(every)):
        _log.warning("%s: look again in some minutes", young)
    for name, unreachable in inventory.unreachable:
        _log.error("%s: %s", name, unreachable.error)
    is_complete = len(lists) == len(apis) and not inventory.unreachable
    return exit_codes.OK if is_complete else exit_codes.FAILED


def _ask_all(apis: Sequence[ApiSettings]) -> Iterator[ApiList]:
    for each in apis:
        try:
            yield ApiList.ask(each)
        except RotatorError as error:
            if len(apis) == 1:
                raise
            _log.error("%s", error)


def _tell_unlisted(inventory: Inventory, rows: Sequence[TokenRow], names: Collection[str]) -> None:
    """Tell which tokens of one API its list does not have; `names` are those of the config."""
    for token_id in inventory.places.keys() - {row.token_id for row in rows}:
        for place in inventory.holders(token_id):
            if place.name in names:
                _log.warning(
                    "%s: the token in %s is not in the API's list: it was revoked, or minted just"
                    " now",
                    *(place.name, place.store),
                )


def as_lines(rows: Sequence[TokenRow]) -> str:
    return "".join(f"{_line(row)}\n" for row in rows) or "the API lists no service token\n"


def as_table(rows: Sequence[TokenRow]) -> str:
    """Return a table as a terminal shows it; one that is narrow gets fewer columns."""
    from rich.markup import escape  # noqa: PLC0415 - only a terminal needs it

    if not rows:
        return as_lines(rows)
    are_named = any(row.api for row in rows)
    return render_table(
        [
            *(["api"] if are_named else []),
            *["id", "status", "left", "last used", "expires", "created", "scope", "where"],
        ],
        [
            (
                *([escape(row.api)] if are_named else []),
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
    columns = ("api", *COLUMNS) if row.api else COLUMNS
    return {**{name: shown[name] for name in columns}, "stores": stores}


def _line(row: TokenRow) -> str:
    end = f"expires {minute(row.expires_at)} ({_left(row)})" if row.expires_at else "never expires"
    words = (
        end,
        f"created {minute(row.created_at)}",
        row.describe_last_use(),
        f"scope {row.scope or '–'}",
    )
    at = f"API {row.api}: " if row.api else ""
    return f"{at}{row.token_id}: {row.status} – {', '.join((*words, *_places(row)))}"


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
    url = shorten_url(place.store)
    match place.part:
        case Part.OWED if place.due_at:
            unused = " if nobody uses it until then" if place.ends_unused else ""
            return f"{place.name}: {url} (to be revoked from {minute(place.due_at)} on{unused})"
        case Part.HELD:
            return f"{place.name}: {url}"
        case part:
            return f"{place.name}: {url} ({part})"

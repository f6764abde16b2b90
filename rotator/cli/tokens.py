"""The listed tokens for people and programs: a table on a terminal, plain lines elsewhere, JSON."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from rotator import wiring
from rotator.cli import exit_codes, options, output
from rotator.clock import in_words, minute, utc_now
from rotator.config.settings import Settings
from rotator.errors import ConfigError, NotFoundError, RotatorError
from rotator.rotation.inventory import (
    Inventory,
    Part,
    Place,
    RowStatus,
    TokenRow,
    ends_at,
    list_rows,
    longest_rotation,
)
from rotator.stores.port import DEFAULT_FIELD
from rotator.tokens import is_token_id

if TYPE_CHECKING:
    from rotator.nocturna.service_tokens import ListedToken

_COLOURS = {RowStatus.HELD: "green", RowStatus.ORPHAN: "yellow", RowStatus.UNKNOWN: "magenta"}
_NARROWEST_TABLE = 120  # columns, of which an id takes 36
_EMPTY = "the API lists no service token\n"


def rows_as_json(rows: Sequence[TokenRow]) -> str:
    """Return one JSON array."""
    return json.dumps([row.to_json() for row in rows], indent=2) + "\n"


def rows_as_lines(rows: Sequence[TokenRow]) -> str:
    """Return a line for each token."""
    return "".join(f"{_line(row)}\n" for row in rows) or _EMPTY


def rows_as_table(rows: Sequence[TokenRow], terminal: TextIO) -> str:
    """Return a table, or lines where the terminal is too narrow for one."""
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
    from rich.markup import escape  # noqa: PLC0415 - only a terminal needs it
    from rich.table import Table  # noqa: PLC0415

    width = Console(file=terminal).width
    if not rows or width < _NARROWEST_TABLE:
        return rows_as_lines(rows)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("id", no_wrap=True)
    for title in ("status", "created", "expires", "left", "last used", "scope", "where"):
        table.add_column(title, overflow="fold")
    for row in rows:
        colour = _COLOURS.get(row.status, "dim")
        table.add_row(
            row.token_id,
            f"[{colour}]{row.status}[/]",
            f"{row.created_at:%Y-%m-%d}",
            f"{row.expires_at:%Y-%m-%d}" if row.expires_at else "never",
            _left(row),
            f"{row.last_used_at:%Y-%m-%d}" if row.last_used_at else "never",
            escape(row.scope),
            "\n".join(escape(_place(place)) for place in row.places) or _whose(row),
        )
    out = io.StringIO()
    Console(file=out, highlight=False, width=width, force_terminal=True).print(table)
    return out.getvalue()


def _line(row: TokenRow) -> str:
    end = f"expires {minute(row.expires_at)} ({_left(row)})" if row.expires_at else "never expires"
    used = f"last used {minute(row.last_used_at)}" if row.last_used_at else "never used"
    where = ", ".join(_place(place) for place in row.places) or _whose(row)
    words = (end, f"created {minute(row.created_at)}", used, f"scope {row.scope or '–'}", where)
    return f"{row.token_id}: {row.status} – {', '.join(word for word in words if word)}"


def _left(row: TokenRow) -> str:
    if row.left is None:
        return "for ever"
    span = in_words(row.left)
    return span if row.left.total_seconds() > 0 else f"over for {span}"


def _place(place: Place) -> str:
    url = place.store.removesuffix(f"#{DEFAULT_FIELD}")
    match place.part:
        case Part.OWED if place.due_at:
            return f"{place.name}: {url} (to be revoked from {minute(place.due_at)} on)"
        case Part.HELD:
            return f"{place.name}: {url}"
        case part:
            return f"{place.name}: {url} ({part})"


def _whose(row: TokenRow) -> str:
    return "" if row.own else "another admin's"


_log = logging.getLogger(__name__)


class StillHeldError(RotatorError):
    """A store of the config holds, or may hold, the token that was to be revoked."""


def show_tokens(settings: Settings, *, as_json: bool) -> int:
    """List the service tokens; return 1 when a store did not answer, so that not all is told."""
    wiring.require_login(settings.api)
    fleet = wiring.fleet_stores(settings)
    api = wiring.lazy_api(settings.api, utc_now)()
    # In this order: a token that is made meanwhile is not listed, instead of without its store.
    listed, account = api.list_tokens(), api.account()
    inventory = fleet.take_inventory()
    found = list_rows(listed, inventory, account, api.now(), longest_rotation(settings))
    if as_json:
        text = rows_as_json(found)
    elif sys.stdout is not None and sys.stdout.isatty():
        text = rows_as_table(found, sys.stdout)
    else:
        text = rows_as_lines(found)
    output.write(text)
    for place in _unlisted(inventory, listed):
        _log.warning(
            "%s: the token in %s is not in the API's list: it was revoked, or made just now",
            *(place.name, place.store),
        )
    for name, silence in inventory.unreachable:
        _log.error("%s: %s", name, silence.error)
    return exit_codes.FAILED if inventory.unreachable else exit_codes.OK


def revoke_token(settings: Settings, token_id: str, *, force: bool) -> int:
    """Revoke a token by its whole id, unless a store of the config holds it or may hold it.

    Raises `ConfigError` for what can be no id, `StillHeldError`, and `NotFoundError`.
    """
    if not is_token_id(token_id):  # it may be a token, so it is not shown
        raise ConfigError(
            "tokens revoke: found a text that is no token id, expected one as rotator tokens list"
            " shows it (a token itself does not belong on a command line)"
        )
    wiring.require_login(settings.api)
    inventory = wiring.fleet_stores(settings).take_inventory()
    if not force:
        _refuse_held(inventory, token_id)
    api = wiring.lazy_api(settings.api, utc_now)()
    row = next((each for each in api.list_tokens() if each.token_id == token_id), None)
    if row is None or not api.ensure_revoked(token_id, "asked"):
        raise NotFoundError(
            f"the API lists no token {token_id}: it is revoked already, or the id is wrong; see"
            " rotator tokens list"
        )
    output.write(
        f"revoked {token_id}: it is no longer exchanged; as a bearer it works {_end(row)}\n"
    )
    for place in inventory.holders(token_id):
        _log.warning(
            "%s: %s still shows the revoked token: rotator rotate %s renews it",
            *(place.name, place.store, place.name),
        )
    return exit_codes.OK


def _unlisted(inventory: Inventory, listed: Sequence[ListedToken]) -> Iterator[Place]:
    known = {row.token_id for row in listed}
    for token_id in inventory.places.keys() - known:
        yield from inventory.holders(token_id)


def _refuse_held(inventory: Inventory, token_id: str) -> None:
    if holders := inventory.holders(token_id):
        name = holders[0].name
        raise StillHeldError(
            f"{name}: {_stores(holders)} still holds {token_id}: replace it with rotator rotate"
            f" {name} --force --revoke-old, or add --force to cut the bot off"
        )
    if minting := [place for place in inventory.places_of(token_id) if place.part is Part.MINTING]:
        name = minting[0].name
        raise StillHeldError(
            f"{name}: {_stores(minting)} has a record of a rotation that made {token_id} and is"
            " under way or was cut off: rotator rotate settles it, or add --force"
        )
    if inventory.unreachable:
        name, silence = inventory.unreachable[0]
        raise StillHeldError(
            f"{name}: {silence.error}; so it is not known whether {token_id} is in use there: try"
            " again when the store answers, or add --force"
        )


def _stores(places: Iterable[Place]) -> str:
    return ", ".join(place.store for place in places)


def _end(row: ListedToken) -> str:
    end = ends_at(row)
    return f"until its end ({minute(end)})" if end else "for ever"


@click.group("tokens")
def command() -> None:
    """See and revoke service tokens at the API."""


@command.command("list")
@options.as_json
@options.configured
def list_tokens(config: Path | None, log_format: str, *, as_json: bool) -> int:
    """List the API's service tokens, and the stores that hold each.

    Sorted by expiry. A token is held by a store; replaced, but remembered beside the one that
    replaced it; minting, while a rotation is under way or was cut off; expired; or an orphan: live,
    and in no store of the config. Of an orphan of your admin account find out who uses it, before
    you revoke it. While a store does not answer, orphans are unknown.

    Exits 0 when all is told, 1 when the API or a store does not answer, 2 when the settings are
    wrong.
    """
    return show_tokens(options.begin(config, log_format), as_json=as_json)


@command.command()
@click.argument("token_id", metavar="ID")
@click.option("--force", is_flag=True, help="Revoke it even if a store holds it, or may hold it.")
@options.configured
def revoke(token_id: str, config: Path | None, log_format: str, *, force: bool) -> int:
    """Revoke a service token by its id.

    The whole id is wanted, as rotator tokens list shows it. A token that a store of the config
    holds is not revoked without --force: its bot would be cut off. Revoking stops the exchange
    only; as a direct bearer a token works until it expires.

    Exits 0 when it is revoked, 1 when it is not, 2 when the settings or the id are wrong.
    """
    return revoke_token(options.begin(config, log_format), token_id, force=force)

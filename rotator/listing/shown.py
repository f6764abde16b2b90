"""The listed tokens for people and programs: a table on a terminal, plain lines elsewhere, JSON."""

import io
import json
from collections.abc import Sequence
from typing import TextIO

from rotator.clock import in_words, minute
from rotator.rotation.inventory import Part, Place, Row, RowStatus
from rotator.stores.port import DEFAULT_FIELD

_COLOURS = {RowStatus.HELD: "green", RowStatus.ORPHAN: "yellow", RowStatus.UNKNOWN: "magenta"}
_NARROWEST_TABLE = 120  # columns, of which an id takes 36
_EMPTY = "the API lists no service token\n"


def as_json(rows: Sequence[Row]) -> str:
    """Return one JSON array."""
    return json.dumps([row.to_json() for row in rows], indent=2) + "\n"


def as_lines(rows: Sequence[Row]) -> str:
    """Return a line for each token."""
    return "".join(f"{_line(row)}\n" for row in rows) or _EMPTY


def as_table(rows: Sequence[Row], terminal: TextIO) -> str:
    """Return a table, or lines where the terminal is too narrow for one."""
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
    from rich.markup import escape  # noqa: PLC0415 - only a terminal needs it
    from rich.table import Table  # noqa: PLC0415

    width = Console(file=terminal).width
    if not rows or width < _NARROWEST_TABLE:
        return as_lines(rows)
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


def _line(row: Row) -> str:
    end = f"expires {minute(row.expires_at)} ({_left(row)})" if row.expires_at else "never expires"
    used = f"last used {minute(row.last_used_at)}" if row.last_used_at else "never used"
    where = ", ".join(_place(place) for place in row.places) or _whose(row)
    words = (end, f"created {minute(row.created_at)}", used, f"scope {row.scope or '–'}", where)
    return f"{row.token_id}: {row.status} – {', '.join(word for word in words if word)}"


def _left(row: Row) -> str:
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


def _whose(row: Row) -> str:
    return "" if row.own else "another admin's"

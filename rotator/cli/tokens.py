"""`rotator tokens`: the API's service tokens beside the stores that hold them."""

import logging
from collections.abc import Iterable, Sequence

import click

from rotator import wiring
from rotator.cli import exit_codes, options, output
from rotator.clock import in_words, minute, utc_now
from rotator.config.settings import Settings
from rotator.errors import ConfigError, NotFoundError, RotatorError
from rotator.rotation.inventory import Inventory, Part, Place
from rotator.rotation.listing import RowStatus, TokenRow, ends_at, list_rows, longest_rotation
from rotator.stores.port import DEFAULT_FIELD
from rotator.tokens import is_token_id

_COLOURS = {RowStatus.HELD: "green", RowStatus.ORPHAN: "yellow", RowStatus.UNKNOWN: "magenta"}
_NARROWEST_TABLE = 120  # columns, of which an id takes 36
_log = logging.getLogger(__name__)


class StillHeldError(RotatorError):
    """A store of the config holds, or may hold, the token that was to be revoked."""


def show_tokens(settings: Settings, *, as_json: bool) -> int:
    """List the API's service tokens, and the stores that hold each.

    Sorted by expiry. A token is held by a store; replaced, and still in a store's journal; minting,
    while a rotation is under way or was cut off; expired; or an orphan: live, and in no store of
    the config. While a store does not answer, orphans are unknown. Before you revoke an orphan of
    your admin account, find out who uses it.

    Exits 0 when the list is complete, 1 when the API or a store does not answer, 2 when the
    settings are wrong.
    """
    wiring.require_login(settings.api)
    fleet = wiring.fleet_stores(settings)
    api = wiring.lazy_api(settings.api, utc_now)()
    # In this order: a token that is minted meanwhile is not listed, instead of without its store.
    listed, account = api.list_tokens(), api.account()
    api.log_out()
    inventory = fleet.take_inventory()
    rows = list_rows(listed, inventory, account, api.time.now(), longest_rotation(settings))
    if as_json:
        output.write(output.as_json(rows))
    else:
        output.write(as_table(rows) if output.is_terminal() else as_lines(rows))
    for token_id in inventory.places.keys() - {row.token_id for row in rows}:
        for place in inventory.holders(token_id):
            _log.warning(
                "%s: the token in %s is not in the API's list: it was revoked, or minted just now",
                *(place.name, place.store),
            )
    for name, unreachable in inventory.unreachable:
        _log.error("%s: %s", name, unreachable.error)
    return exit_codes.FAILED if inventory.unreachable else exit_codes.OK


def as_lines(rows: Sequence[TokenRow]) -> str:
    return "".join(f"{_line(row)}\n" for row in rows) or "the API lists no service token\n"


def as_table(rows: Sequence[TokenRow]) -> str:
    """Return a table, or lines where the terminal is too narrow for one."""
    from rich.markup import escape  # noqa: PLC0415 - only a terminal needs it

    if not rows or output.terminal_width() < _NARROWEST_TABLE:
        return as_lines(rows)
    return output.render_table(
        ["id", "status", "created", "expires", "left", "last used", "scope", "where"],
        [
            (
                row.token_id,
                f"[{_COLOURS.get(row.status, 'dim')}]{row.status}[/]",
                f"{row.created_at:%Y-%m-%d}",
                f"{row.expires_at:%Y-%m-%d}" if row.expires_at else "never",
                _left(row),
                f"{row.last_used_at:%Y-%m-%d}" if row.last_used_at else "never",
                escape(row.scope),
                escape("\n".join(_places(row))),
            )
            for row in rows
        ],
        unbroken={"id", "where"},
    )


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
    api.log_out()
    end = ends_at(row)
    until = f"until its end ({minute(end)})" if end else "for ever"
    output.write(f"revoked {token_id}: it is no longer exchanged; as a bearer it works {until}\n")
    for place in inventory.holders(token_id):
        _log.warning(
            "%s: %s still shows the revoked token: rotator rotate %s renews it",
            *(place.name, place.store, place.name),
        )
    return exit_codes.OK


def _refuse_held(inventory: Inventory, token_id: str) -> None:
    if holders := inventory.holders(token_id):
        name = holders[0].name
        raise StillHeldError(
            f"{name}: {_stores(holders)} still holds {token_id}: replace and revoke it with rotator"
            f" leaked {name}, or add --force to cut the bot off"
        )
    places = inventory.places.get(token_id, ())
    if minting := [place for place in places if place.part is Part.MINTING]:
        name = minting[0].name
        raise StillHeldError(
            f"{name}: {_stores(minting)} has the intent of a rotation that minted {token_id} and is"
            " under way or was cut off: rotator rotate settles it, or add --force"
        )
    if inventory.unreachable:
        name, unreachable = inventory.unreachable[0]
        raise StillHeldError(
            f"{name}: {unreachable.error}; so it is not known whether {token_id} is in use there:"
            " try again when the store answers, or add --force"
        )


def _stores(places: Iterable[Place]) -> str:
    return ", ".join(place.store for place in places)


@click.group("tokens")
def command() -> None:
    """List and revoke the API's service tokens."""


command.command("list")(options.as_json(options.configured(show_tokens)))


@command.command()
@click.argument("token_id", metavar="ID")
@click.option("--force", is_flag=True, help="Revoke it even if a store holds it, or may hold it.")
@options.configured
def revoke(settings: Settings, token_id: str, *, force: bool) -> int:
    """Revoke a service token by its id.

    Takes the whole id, as rotator tokens list shows it. A token that a store of the config holds is
    not revoked without --force: its bot would be cut off. Revoking only stops the exchange; as a
    direct bearer the token works until it expires.

    Exits 0 when it is revoked, 1 when it is not, 2 when the settings or the id are wrong.
    """
    return revoke_token(settings, token_id, force=force)

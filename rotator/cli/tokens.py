"""`rotator tokens list` and `rotator tokens revoke` as a whole: settings in, exit status out."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from rotator import wiring
from rotator.cli import exit_codes
from rotator.clock import minute, utc_now
from rotator.config.settings import Settings
from rotator.errors import ConfigError, NotFoundError, RotatorError
from rotator.listing import shown, stdout
from rotator.rotation.inventory import Part, Place, Stock, ends_at, longest_rotation, read_all, rows

if TYPE_CHECKING:
    from rotator.nocturna.service_tokens import Listed

_log = logging.getLogger(__name__)


class StillHeldError(RotatorError):
    """A store of the config holds, or may hold, the token that was to be revoked."""


def show_tokens(settings: Settings, *, as_json: bool) -> int:
    """List the service tokens; return 1 when a store did not answer, so that not all is told."""
    wiring.require_login(settings.api)
    tokens = wiring.opened(settings, ())
    api = wiring.api_opener(settings.api, utc_now)()
    # In this order: a token that is made meanwhile is not listed, instead of without its store.
    listed, account = api.list_tokens(), api.account()
    stock = read_all(tokens)
    found = rows(listed, stock, account, api.now(), longest_rotation(settings))
    if as_json:
        text = shown.as_json(found)
    elif sys.stdout is not None and sys.stdout.isatty():
        text = shown.as_table(found, sys.stdout)
    else:
        text = shown.as_lines(found)
    stdout.write(text)
    for place in _unlisted(stock, listed):
        _log.warning(
            "%s: the token in %s is not in the API's list: it was revoked, or made just now",
            *(place.name, place.store),
        )
    for name, silence in stock.silent:
        _log.error("%s: %s", name, silence.error)
    return exit_codes.FAILED if stock.silent else exit_codes.FINE


def revoke_token(settings: Settings, token_id: str, *, force: bool) -> int:
    """Revoke a token by its whole id, unless a store of the config holds it or may hold it.

    Raises `ConfigError` for what can be no id, `StillHeldError`, and `NotFoundError`.
    """
    from rotator.nocturna.service_tokens import is_id  # noqa: PLC0415 - HTTP costs 60 ms to import

    if not is_id(token_id):  # it may be a token, so it is not shown
        raise ConfigError(
            "tokens revoke: found a text that is no token id, expected one as rotator tokens list"
            " shows it (a token itself does not belong on a command line)"
        )
    wiring.require_login(settings.api)
    stock = read_all(wiring.opened(settings, ()))
    if not force:
        _refuse_held(stock, token_id)
    api = wiring.api_opener(settings.api, utc_now)()
    row = next((each for each in api.list_tokens() if each.token_id == token_id), None)
    if row is None or not api.ensure_revoked(token_id, "asked"):
        raise NotFoundError(
            f"the API lists no token {token_id}: it is revoked already, or the id is wrong; see"
            " rotator tokens list"
        )
    stdout.write(
        f"revoked {token_id}: it is no longer exchanged; as a bearer it works {_end(row)}\n"
    )
    for place in stock.holders(token_id):
        _log.warning(
            "%s: %s still shows the revoked token: rotator rotate %s renews it",
            *(place.name, place.store, place.name),
        )
    return exit_codes.FINE


def _unlisted(stock: Stock, listed: Sequence[Listed]) -> Iterator[Place]:
    known = {row.token_id for row in listed}
    for token_id in stock.places.keys() - known:
        yield from stock.holders(token_id)


def _refuse_held(stock: Stock, token_id: str) -> None:
    if holders := stock.holders(token_id):
        name = holders[0].name
        raise StillHeldError(
            f"{name}: {_stores(holders)} still holds {token_id}: replace it with rotator rotate"
            f" {name} --force --revoke-old, or add --force to cut the bot off"
        )
    if minting := [place for place in stock.of(token_id) if place.part is Part.MINTING]:
        name = minting[0].name
        raise StillHeldError(
            f"{name}: {_stores(minting)} has a record of a rotation that made {token_id} and is"
            " under way or was cut off: rotator rotate settles it, or add --force"
        )
    if stock.silent:
        name, silence = stock.silent[0]
        raise StillHeldError(
            f"{name}: {silence.error}; so it is not known whether {token_id} is in use there: try"
            " again when the store answers, or add --force"
        )


def _stores(places: Iterable[Place]) -> str:
    return ", ".join(place.store for place in places)


def _end(row: Listed) -> str:
    end = ends_at(row)
    return f"until its end ({minute(end)})" if end else "for ever"

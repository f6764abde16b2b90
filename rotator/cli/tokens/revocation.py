"""`rotator tokens revoke`: by hand, and not from under a bot."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from rotator import wiring
from rotator.cli import exit_codes, output
from rotator.clock import minute, utc_now
from rotator.config.settings import ApiSettings, Settings
from rotator.errors import ConfigError, RotatorError
from rotator.rotation.inventory import Inventory, Part, Place
from rotator.rotation.listing import ends_at
from rotator.tokens import is_token_id
from rotator.wiring import requirements, selection

if TYPE_CHECKING:
    from rotator.nocturna.service_tokens import ListedToken, TokenApi

_log = logging.getLogger(__name__)


class StillHeldError(RotatorError):
    """A store of the config holds, or may hold, a token that was to be revoked."""


def revoke_tokens(
    settings: Settings, token_ids: Sequence[str], *, force: bool, name: str | None = None
) -> int:
    """Revoke tokens by their whole ids, unless a store of the config holds one or may hold it.

    Each is looked for at all APIs, or at the one of this `name`. Raises `ConfigError` for what
    can be no id, and `StillHeldError`, before any is revoked.
    """
    for token_id in token_ids:
        if not is_token_id(token_id):  # it may be a token, so it is not shown
            raise ConfigError(
                "tokens revoke: found a text that is no token id, expected one as rotator tokens"
                " list shows it (a token itself does not belong on a command line)"
            )
    apis = selection.choose_apis(settings, name)
    for each in apis:
        requirements.require_login(each)
    inventory = wiring.fleet_stores(settings).take_inventory()
    if not force:
        for token_id in token_ids:
            _refuse_held(inventory, token_id)
    # All lists before the first revocation, as an API that does not answer may have one of them.
    lists = [_list(each) for each in apis]
    code = exit_codes.OK
    for token_id in dict.fromkeys(token_ids):
        found = next(((of, rows[token_id]) for of, rows in lists if token_id in rows), None)
        if not found or not found[0].ensure_revoked(token_id, "asked"):
            _log.error(
                "the API lists no token %s: it is revoked already, or the id is wrong; see"
                " rotator tokens list",
                token_id,
            )
            code = exit_codes.FAILED
            continue
        end = ends_at(found[1])
        until = f"until its end ({minute(end)})" if end else "for ever"
        told = f"revoked {token_id}: it is no longer exchanged; as a bearer it works {until}"
        output.write_lines([told])
        for place in inventory.holders(token_id):
            _log.warning(
                "%s: %s still shows the revoked token: rotator rotate %s renews it",
                *(place.name, place.store, place.name),
            )
    for api, _ in lists:
        api.log_out()
    return code


def _list(settings: ApiSettings) -> tuple[TokenApi, Mapping[str, ListedToken]]:
    """Return an API, and the tokens that it lists, by their ids."""
    api = wiring.lazy_api(settings, utc_now)()
    return api, {row.token_id: row for row in api.list_tokens()}


def _refuse_held(inventory: Inventory, token_id: str) -> None:
    if holders := inventory.holders(token_id):
        name = holders[0].name
        raise StillHeldError(
            f"{name}: {_stores(holders)} still holds {token_id}: replace and revoke it with rotator"
            f" leaked {name}; if the bot is gone, take {name} out of the config first, or add"
            " --force"
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

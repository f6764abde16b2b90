"""Settings to wired objects: the one place where everything meets."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rotator.clock import Clock
from rotator.config.settings import (
    ApiSettings,
    Settings,
    StoredSecret,
    TokenSettings,
)
from rotator.errors import ConfigError, MistakesError
from rotator.http.throttle import Throttle
from rotator.rotation.in_flight import InFlightMints
from rotator.rotation.inventory import FleetStores
from rotator.rotation.model import LazyApi, RotationContext
from rotator.rotation.rotation import Rotation
from rotator.rotation.threads import WORKERS
from rotator.stores.port import SecretStore
from rotator.stores.readonly import BareFile
from rotator.stores.registry import Backends
from rotator.wiring.requirements import (
    collect_mistakes,
    open_password_store,
    read_credentials,
    require_all,
    require_rotation,
    require_url,
)
from rotator.wiring.selection import select

if TYPE_CHECKING:
    from rotator.nocturna.service_tokens import TokenApi
    from rotator.stores.mirrors import Mirror


MintsByApi = defaultdict[str, InFlightMints]


def build_rotations(
    settings: Settings, names: Sequence[str], clock: Clock, in_flight: MintsByApi | None = None
) -> list[Rotation]:
    """Return the named tokens, or all of them, ready to be checked or rotated.

    Raises `ConfigError` for an unknown name, an unusable store URL, or a store used twice.
    """
    contexts = build_contexts(settings, clock, in_flight)
    selected = open_selected(settings, names)
    return [Rotation(token, stores, contexts[token.api]) for token, stores in selected]


def build_contexts(
    settings: Settings,
    clock: Clock,
    in_flight: MintsByApi | None = None,
    *,
    connections: int | None = None,
) -> dict[str, RotationContext]:
    """Return what the rotations of each API share, by its name; all know the stores of all.

    `in_flight` has what other rotations of this process mint. With `connections` an API gets no
    more of them, whatever the settings permit.
    """
    in_flight = defaultdict(InFlightMints) if in_flight is None else in_flight
    throttles = _share_throttles(settings, connections)
    stores, workers = fleet_stores(settings), count_workers(settings)
    return {
        api.name: RotationContext(
            api=lazy_api(api, clock, throttles[api.name]),
            clock=clock,
            in_flight=in_flight[api.name],
            fleet_stores=stores,
            sleep=time.sleep,
            environ=os.environ,
            workers=workers,
            open_mirrors=partial(open_mirrors_of, folder=settings.folder),
            is_own=frozenset(token.name for token in settings.tokens_of(api)).__contains__,
        )
        for api in settings.apis
    }


def _share_throttles(settings: Settings, connections: int | None) -> dict[str, Throttle]:
    """Return what bounds the calls of each API, by its name: one throttle for each server."""
    servers = {api.name: urlsplit(api.url or "").netloc.lower() for api in settings.apis}
    throttles: dict[str, Throttle] = {}
    for api in sorted(settings.apis, key=lambda api: api.connections):  # the fewest count
        throttles.setdefault(servers[api.name], Throttle(connections or api.connections))
    return {name: throttles[server] for name, server in servers.items()}


def count_workers(settings: Settings) -> int:
    """Return how many tokens are worked on at the same time, so that no connection idles."""
    connections = sum(api.connections for api in settings.apis)
    return max(WORKERS, connections, settings.store_connections)


def open_mirrors_of(token: TokenSettings, folder: Path) -> list[Mirror]:
    """Return the mirrors of a token; raises `ConfigError` for a URL that cannot be used."""
    if not token.mirrors:
        return []
    from rotator.stores.mirrors import open_mirror  # noqa: PLC0415 - few have mirrors

    opened: dict[str, Mirror] = {}
    for text in token.mirrors:
        try:
            mirror = open_mirror(text, folder)
        except ConfigError as error:
            raise ConfigError(f"{token.origin}: {error}") from None
        if mirror.url in opened:
            raise ConfigError(
                f"{token.origin}: found {mirror.url} a second time, expected each mirror once"
            )
        opened[mirror.url] = mirror
    return list(opened.values())


def require_mirrors(settings: Settings) -> None:
    """Raise `ConfigError` for mirrors that cannot be opened, and those of two tokens."""
    owners: dict[str, str] = {}

    def open_own(token: TokenSettings) -> None:
        for mirror in open_mirrors_of(token, settings.folder):
            if mirror.url in owners:
                raise ConfigError(
                    f"{token.origin}: found {mirror.url} a second time (also in"
                    f" {owners[mirror.url]}), expected each mirror once"
                )
            owners[mirror.url] = token.name

    require_all(settings, *(lambda _, token=token: open_own(token) for token in settings.tokens))


def open_selected(
    settings: Settings, names: Sequence[str], *, with_bare_files: bool = False
) -> list[tuple[TokenSettings, list[SecretStore]]]:
    """Return the named tokens, or all, with their stores; raises as `build_rotations` does.

    `with_bare_files` permits `file:` URLs, for those who only read.
    """
    wanted = select(settings, names)
    stores = _require_stores(settings, with_bare_files=with_bare_files)
    return [(token, stores[token.name]) for token in wanted]


def fleet_stores(settings: Settings) -> FleetStores:
    """Return all stores of all tokens, to be looked at; instances serve one thread each."""
    return FleetStores(
        lambda: [(name, each) for name, own in _require_stores(settings).items() for each in own],
        time.monotonic,
        count_workers(settings),
    )


def lazy_api(settings: ApiSettings, clock: Clock, throttle: Throttle | None = None) -> LazyApi:
    """Return the API, not connected yet, with a `throttle` that others may share."""
    throttle = throttle or Throttle(settings.connections)
    return LazyApi(lambda: _connect(settings, clock, throttle))


def find_mistakes(settings: Settings) -> list[str]:
    """Return all for which `rotate` would refuse these settings; no API and no store is asked."""
    return collect_mistakes(
        settings, lambda each: select(each, ()), require_rotation, _require_stores
    )


def _connect(settings: ApiSettings, clock: Clock, throttle: Throttle) -> TokenApi:
    # HTTP costs 60 ms to import; a look at a store needs none of it.
    from rotator.nocturna.api import ApiClient  # noqa: PLC0415
    from rotator.nocturna.service_tokens import TokenApi  # noqa: PLC0415
    from rotator.nocturna.session import AdminSession  # noqa: PLC0415

    name = f"API {settings.name}" if settings.name else ""
    http = ApiClient(require_url(settings), clock, throttle=throttle, name=name)
    admin = AdminSession(http, lambda: read_credentials(settings), time.monotonic)
    return TokenApi(http, admin, time.monotonic)


def _require_stores(
    settings: Settings, *, with_bare_files: bool = False
) -> dict[str, list[SecretStore]]:
    stores, mistakes = open_stores(settings, with_bare_files=with_bare_files)
    mistakes += collect_mistakes(settings, require_mirrors)
    if mistakes:
        raise MistakesError(mistakes)
    return stores


def open_stores(
    settings: Settings, *, with_bare_files: bool = False
) -> tuple[dict[str, list[SecretStore]], list[str]]:
    """Return the stores of each token without a mistake in them, by its name, and the mistakes."""
    mistakes: list[str] = []
    stores: dict[str, list[SecretStore]] = {}
    owners: dict[str, str] = {}
    backends = Backends(settings.store_connections)

    def open_store(text: str) -> SecretStore:
        if with_bare_files and _scheme(text) == "file":
            return BareFile.open(text, settings.folder)
        return backends.open(text, settings.folder)

    try:
        owners = _password_store_owners(settings)
    except ConfigError as error:
        mistakes.append(str(error))
    for token in settings.tokens:
        known = len(mistakes)
        opened: list[SecretStore] = []
        for text in token.stores:
            try:
                store = open_store(text)
            except ConfigError as error:
                mistakes.append(f"{token.origin}: {error}")
                continue
            opened.append(store)
            if isinstance(store, BareFile):  # is never written, so tokens may share it
                continue
            if store.url in owners:
                mistakes.append(
                    f"{token.origin}: found {store.url} a second time (also in"
                    f" {owners[store.url]}), expected each store once"
                )
            owners.setdefault(store.url, token.name)
        if len(mistakes) == known:
            stores[token.name] = opened
    return stores, mistakes


def _password_store_owners(settings: Settings) -> dict[str, str]:
    """Return the stores of admins' passwords, which a token must not overwrite, by their URLs."""
    schemes = {_scheme(text) for token in settings.tokens for text in token.stores} - {"file"}
    passwords = (api.admin_password for api in settings.apis)
    return {
        open_password_store(stored).url: stored.origin
        for stored in passwords
        # A look at the tokens needs no admin, and should not load another backend for one.
        if isinstance(stored, StoredSecret) and _scheme(stored.url) in schemes
    }


def _scheme(url: str) -> str:
    return url.partition(":")[0].lower()

"""`rotator access-token` as a whole: settings in, a token on stdout, and an exit status."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from contextlib import ExitStack
from typing import TYPE_CHECKING

from rotator import wiring
from rotator.accessing.cache import Cache, Start
from rotator.accessing.source import Exchange, Source
from rotator.cli import exit_codes
from rotator.clock import utc_now
from rotator.config.settings import Settings
from rotator.errors import ConfigError
from rotator.exec.runtime_folder import UnusableFolderError, folder_path, private_folder
from rotator.stores.readonly import opened
from rotator.tokens import ServiceToken

if TYPE_CHECKING:
    from rotator.nocturna.session import AccessToken

_log = logging.getLogger(__name__)


def print_access_token(
    settings: Settings, name: str | None, *, as_header: bool, cached: bool
) -> int:
    """Print an access token, or with `as_header` the header that carries it.

    Raises `ConfigError`, `StoreError` where the stores show no live token, and `ApiError`.
    """
    if sys.stdout is None:
        raise ConfigError("stdout is closed, so nobody would get the access token")
    url = wiring.require_url(settings.api)
    source = _source(settings, name)

    def exchange(service_token: str) -> AccessToken:
        return wiring.api_opener(settings.api, utc_now)().exchange(service_token)

    with ExitStack() as stack:
        cache = _opened_cache(stack) if cached else None
        if cache:
            secret = _through(cache, url, source, exchange)
        else:
            secret = source.traded(source.read(), exchange).access.secret
    sys.stdout.write(f"Authorization: Bearer {secret}\n" if as_header else f"{secret}\n")
    sys.stdout.flush()
    return exit_codes.FINE


def _source(settings: Settings, name: str | None) -> Source:
    found = opened(settings, [name] if name else [])
    if len(found) > 1:
        names = ", ".join(token.name for token, _ in found)
        raise ConfigError(f"access-token: found no NAME, expected one of: {names}")
    token, stores = found[0]
    return Source(token.name, stores, utc_now)


def _opened_cache(stack: ExitStack) -> Cache | None:
    try:
        path = folder_path(os.environ, tempfile.gettempdir)
        return Cache(stack.enter_context(private_folder(path)), Start.latest())
    except (OSError, UnusableFolderError) as error:
        _warn(error)
        return None


def _through(cache: Cache, url: str, source: Source, exchange: Exchange) -> str:
    token = source.read()
    if found := cache.get(_key(url, token)):
        return found
    from rotator.client.held import Held  # noqa: PLC0415 - HTTP comes with it, 60 ms

    asked = cache.start.now()
    traded = source.traded(token, exchange)
    fresh_until = Held.since(asked, traded.access).fresh_until
    secret = traded.access.secret
    try:
        cache.put(_key(url, traded.token), secret, asked=asked, fresh_until=fresh_until)
    except OSError as error:
        _warn(error)
    return secret


def _key(url: str, token: ServiceToken) -> str:
    # The whole token: an id is only what the token claims.
    return f"{url} {token.secret}"


def _warn(error: OSError | UnusableFolderError) -> None:
    why = error.strerror if isinstance(error, OSError) else error
    _log.warning("the access token is not cached: %s", why)

"""What both `NocturnaAuth` classes share: the bearer that they send, and to which origin."""

import logging
import re
from functools import partial
from typing import Literal

from rotator.client.access_tokens import AccessTokens, run_in_thread
from rotator.client.service_token import TokenManager
from rotator.errors import ConfigError
from rotator.http.urls import parse_http_url

_MOST_WARNINGS = 100
_PORTS = {"http": 80, "https": 443}
_QUERY = re.compile(r"[?#].*", re.DOTALL)
_log = logging.getLogger(__name__)

Mode = Literal["exchange", "direct"]
Origin = tuple[str, str, int]
"""Scheme, host and port, as of RFC 6454."""


def origin_of(url: str) -> Origin | None:
    """Return the origin of an http or https URL, None of any other text."""
    parts = parse_http_url(_QUERY.sub("", url))
    if parts is None:
        return None
    return parts.scheme, parts.hostname or "", parts.port or _PORTS[parts.scheme]


class ForeignOrigins:
    """Warns about requests that get no bearer, once for each origin."""

    def __init__(self, api_url: str) -> None:
        self._api_url = api_url
        self._warned: set[Origin] = set()

    def warn(self, url: str) -> None:
        """Log a warning about the first request to an origin."""
        origin = origin_of(url)
        if origin is None or origin in self._warned or len(self._warned) == _MOST_WARNINGS:
            return
        self._warned.add(origin)
        _log.warning("no bearer is sent to %s://%s:%d: api_url is %s", *origin, self._api_url)


class Bearer:
    """Access tokens, or in mode `direct` the service token itself; raises `ConfigError`.

    The `_async` methods do not block the event loop.
    """

    def __init__(self, tokens: AccessTokens, mode: Mode) -> None:
        if not isinstance(tokens, AccessTokens):
            found = type(tokens).__name__
            raise ConfigError(f"tokens: found {found}, expected a TokenManager or a UserSession")
        self._tokens = tokens
        self._direct: TokenManager | None = None
        self.get, self.get_async = tokens.get_access_token, tokens.get_access_token_async
        if mode == "direct" and isinstance(tokens, TokenManager):
            self._direct = tokens
            self.get, self.get_async = tokens.get_service_token, tokens.get_service_token_async
        elif mode != "exchange":
            raise ConfigError('mode: expected "exchange", or "direct" with a TokenManager')

    def replace(self, refused: str) -> str | None:
        """Return the bearer to send after a 401; None if there is no other.

        An access token may have the same text: all that the API makes within a second are equal.
        """
        if self._direct:
            return self._direct.newer_service_token(refused)
        self._tokens.invalidate(refused)
        return self._tokens.get_access_token()

    async def replace_async(self, refused: str) -> str | None:
        """Do the same without blocking."""
        if self._direct:
            return await run_in_thread(partial(self._direct.newer_service_token, refused))
        self._tokens.invalidate(refused)
        return await self._tokens.get_access_token_async()

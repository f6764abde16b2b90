"""What both `NocturnaAuth` classes share: the bearer that they send, and to which origin."""

import logging
import re
from typing import Literal

from rotator.client.access_tokens import AccessTokens
from rotator.client.service_token import TokenManager
from rotator.errors import ConfigError
from rotator.http.urls import parse_http_url

PREFIX = "Bearer "
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


class BearerAuth:
    """Has access tokens as bearers, or in mode `direct` the service token itself.

    The `_async` methods do not block the event loop. Raises `ConfigError`.
    """

    def __init__(self, tokens: AccessTokens, mode: Mode = "exchange") -> None:
        if not isinstance(tokens, AccessTokens):
            found = type(tokens).__name__
            raise ConfigError(f"tokens: found {found}, expected a TokenManager or a UserSession")
        self._tokens = tokens
        self._direct: TokenManager | None = None
        self._warned: set[Origin] = set()
        self._get, self._get_async = tokens.get_access_token, tokens.get_access_token_async
        if mode == "direct" and isinstance(tokens, TokenManager):
            self._direct = tokens
            self._get, self._get_async = tokens.get_service_token, tokens.get_service_token_async
        elif mode != "exchange":
            raise ConfigError('mode: expected "exchange", or "direct" with a TokenManager')

    def __repr__(self) -> str:
        return f"NocturnaAuth({self._tokens!r})"

    def _replace(self, refused: str) -> str | None:
        """Return the bearer to send after a 401; None if there is no other.

        An access token may have the same text: all that the API makes within a second are equal.
        """
        if self._direct:
            return self._direct.newer_service_token(refused)
        self._tokens.invalidate(refused)
        return self._tokens.get_access_token()

    async def _replace_async(self, refused: str) -> str | None:
        if self._direct:
            import asyncio  # noqa: PLC0415 - bots without tasks need none of it

            return await asyncio.to_thread(self._direct.newer_service_token, refused)
        self._tokens.invalidate(refused)
        return await self._tokens.get_access_token_async()

    def _warn_of_foreign(self, url: str) -> None:
        """Log that a request gets no bearer, once for each origin."""
        origin = origin_of(url)
        if origin is None or origin in self._warned or len(self._warned) == _MOST_WARNINGS:
            return
        self._warned.add(origin)
        text = "no bearer is sent to %s://%s:%d: api_url is %s"
        _log.warning(text, *origin, self._tokens.api_url)

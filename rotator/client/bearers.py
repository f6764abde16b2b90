"""The bearer that both `NocturnaAuth` classes send, and its replacement after a 401."""

from functools import partial
from typing import Literal

from rotator.client.access_tokens import AccessTokens, run_in_thread
from rotator.client.service_token import TokenManager
from rotator.errors import ConfigError

Mode = Literal["exchange", "direct"]


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

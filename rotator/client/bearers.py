"""What goes into the Authorization header, and what takes its place after a 401."""

from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple

from rotator.client.access_tokens import AccessTokens, in_thread
from rotator.client.service_token import TokenManager
from rotator.errors import ConfigError

Mode = Literal["exchange", "direct"]


class Bearer(NamedTuple):
    """Ways to get the secret to send, and another one than one that was refused (None: no other).

    Those with `_async` do not block the event loop.
    """

    get: Callable[[], str]
    get_async: Callable[[], Awaitable[str]]
    instead_of: Callable[[str], str | None]
    instead_of_async: Callable[[str], Awaitable[str | None]]


def bearer_of(tokens: AccessTokens, mode: Mode) -> Bearer:
    """Return access tokens, or for `direct` the service token itself; raises `ConfigError`."""
    if not isinstance(tokens, AccessTokens):
        found = type(tokens).__name__
        raise ConfigError(f"tokens: found {found}, expected a TokenManager or a UserSession")
    if mode == "exchange":
        return _exchanged(tokens)
    if mode == "direct" and isinstance(tokens, TokenManager):
        return _direct(tokens)
    raise ConfigError('mode: expected "exchange", or "direct" with a TokenManager')


def _exchanged(tokens: AccessTokens) -> Bearer:
    def instead_of(refused: str) -> str:
        tokens.invalidate(refused)
        # Perhaps the same text: all access tokens that the API makes in a second are equal.
        return tokens.get_access_token()

    async def instead_of_async(refused: str) -> str:
        tokens.invalidate(refused)
        return await tokens.get_access_token_async()

    get, get_async = tokens.get_access_token, tokens.get_access_token_async
    return Bearer(get, get_async, instead_of, instead_of_async)


def _direct(manager: TokenManager) -> Bearer:
    async def instead_of_async(refused: str) -> str | None:
        return await in_thread(manager.newer_service_token, refused)

    get, get_async = manager.get_service_token, manager.get_service_token_async
    return Bearer(get, get_async, manager.newer_service_token, instead_of_async)

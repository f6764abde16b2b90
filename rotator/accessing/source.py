"""The service token that some stores show, traded for an access token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from rotator.clock import Clock
from rotator.errors import StoreError, TokenRefusedError
from rotator.rotation.observe import survey
from rotator.stores.port import SecretStore
from rotator.stores.readonly import lack_of, lives
from rotator.tokens import ServiceToken

if TYPE_CHECKING:
    from rotator.nocturna.session import AccessToken

Exchange = Callable[[str], "AccessToken"]


class Traded(NamedTuple):
    """An access token, and the service token that it was got for."""

    token: ServiceToken
    access: AccessToken


class Source(NamedTuple):
    """The stores of the token `name`, which may hold different ones: the current one counts."""

    name: str
    stores: Sequence[SecretStore]
    clock: Clock

    def read(self) -> ServiceToken:
        """Return the live token that the stores show; raises `StoreError` where there is none."""
        now = self.clock()
        seen = survey(self.stores, now)
        if seen.current and lives(seen.current, now):
            return seen.current
        lacks = [str(each.error) for each in seen.silent]
        lacks += [lack_of(reading, now).message for reading in seen.reachable]
        raise StoreError(f"{self.name}: {'; '.join(lacks)}")

    def traded(self, token: ServiceToken, exchange: Exchange) -> Traded:
        """Exchange a token that was read, or the one that has replaced it if it is refused.

        Raises `TokenRefusedError`, and whatever else `exchange` raises.
        """
        try:
            return Traded(token, exchange(token.secret))
        except TokenRefusedError:
            newer = self.read()
            if newer.secret == token.secret:
                raise self._refusal(token) from None
        try:
            return Traded(newer, exchange(newer.secret))
        except TokenRefusedError:
            raise self._refusal(newer) from None

    def _refusal(self, token: ServiceToken) -> TokenRefusedError:
        return TokenRefusedError(
            f"{self.name}: the API does not accept service token {token.name} (401), and there is"
            f" no other in {self._urls}; renew it: rotator rotate"
        )

    @property
    def _urls(self) -> str:
        return ", ".join(store.url for store in self.stores)

"""Service tokens at the API: mint, exchange, revoke."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from rotator.errors import ApiFaultError, ApiUnreachableError, TokenRefusedError
from rotator.nocturna.admin import AccessToken, AdminSession, access_token
from rotator.nocturna.calls import EXCHANGE, MINT, REVOKE, VERIFY
from rotator.nocturna.faults import outcome_unknown
from rotator.nocturna.http import Http
from rotator.nocturna.recent import RecentFailure

LONGEST_VALIDITY = timedelta(days=365)
ONE_DAY = timedelta(days=1)
PAUSE_AFTER_SILENCE = 10.0  # seconds
_VISIBLE_ASCII = re.compile(r"[!-~]+")  # what a header may carry
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Minted:
    """A token that the server says it made; its claims are not checked yet."""

    secret: str = field(repr=False)
    token_id: str


class ServiceTokens:
    """The admin's calls about service tokens, and the exchange that any service token may make."""

    def __init__(self, http: Http, admin: AdminSession, monotonic: Callable[[], float]) -> None:
        self._http = http
        self._admin = admin
        self._silence = RecentFailure(monotonic)

    @property
    def clock_skew(self) -> timedelta | None:
        """How far this machine's clock is ahead of the server's; None before the first answer."""
        return self._http.clock_skew

    def mint(self, validity: timedelta | None, scope: str) -> Minted:
        """Create a token that lives `validity` (whole days, 1 to 365), or for ever when None.

        The server would take other values and make a dead or an eternal token of them. Sent once:
        `MintOutcomeUnknownError` when the server may have made a token whose text never arrived.
        """
        wish: dict[str, object] = {"scope": scope, "eternal": validity is None}
        if validity is not None:
            if validity % ONE_DAY or not ONE_DAY <= validity <= LONGEST_VALIDITY:
                raise ValueError("validity is a whole number of days from 1 to 365")
            wish["days"] = validity.days
        answer = self._admin.send(MINT, json=wish)
        body = answer.body if isinstance(answer.body, dict) else {}
        secret, token_id = body.get("service_token"), body.get("token_id")
        if not (isinstance(secret, str) and isinstance(token_id, str) and _ID.fullmatch(token_id)):
            raise outcome_unknown(ApiFaultError(f"{MINT.doing}: the answer has no token"))
        return Minted(secret, token_id)

    def prove_rights(self) -> None:
        """Prove that a mint would be allowed, and change nothing.

        Raises `LoginRefusedError` or `NotAdminError` when it would not.
        """
        self._admin.send(VERIFY)

    def exchange(self, service_token: str) -> AccessToken:
        """Get an access token for a service token: the one proof that the server accepts it.

        Raises `TokenRefusedError` when it does not.
        """
        if not _VISIBLE_ASCII.fullmatch(service_token):
            raise TokenRefusedError(f"{EXCHANGE.doing}: it is no token")
        return access_token(EXCHANGE, self._http.send(EXCHANGE, bearer=service_token))

    def probe(self, service_token: str) -> None:
        """Ask whether the server accepts a token in use; raises `TokenRefusedError` if not.

        A server that does not answer one of a fleet is not asked for the others for a while.
        """
        self._silence.raise_again()
        try:
            self.exchange(service_token)
        except ApiUnreachableError as error:
            self._silence.remember(error, PAUSE_AFTER_SILENCE)
            raise

    def revoke(self, token_id: str) -> None:
        """Revoke a token; raises `NotFoundError` when it is unknown or revoked already.

        This stops exchanges only: as a direct bearer the token works until it expires.
        """
        body = self._admin.send(REVOKE, item=f"/{token_id}").body
        if not isinstance(body, dict) or body.get("success") is not True:
            raise ApiFaultError(f"{REVOKE.doing}: the API does not say that it did")

"""The admin's session at the API: log in, refresh, log in again.

By the API's guide access tokens live 15 minutes and refresh tokens 7 days; the server's
`expires_in` decides. Lifetimes are counted on a monotonic clock, so a wrong wall clock does no
harm.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from rotator.errors import ApiError, LoginRefusedError, MalformedTokenError
from rotator.nocturna.api import (
    LOGOUT,
    AccessToken,
    ApiClient,
    Call,
    UnauthorizedError,
    log_in,
    refresh,
)
from rotator.tokens import ServiceToken

Credentials = Callable[[], tuple[str, str]]
REFRESH_EARLY = 60.0  # seconds, as are the others
# A failed login is not repeated at once: 1,000 tokens must not cause 1,000 wrong passwords, nor
# wait 1,000 times for a server that is down.
PAUSE_AFTER_REFUSAL = 60.0
PAUSE_AFTER_FAULT = 10.0


class RecentFailure:
    """Remembers the last failure of a call; `monotonic` counts seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._error: ApiError | None = None
        self._until = 0.0

    def remember(self, error: ApiError, seconds: float) -> None:
        self._error, self._until = error, self._monotonic() + seconds

    def raise_again(self) -> None:
        """Raise the failure once more while it is kept; do nothing otherwise."""
        if self._error and self._monotonic() < self._until:
            raise type(self._error)(str(self._error))


class AdminSession:
    """Sends calls as the admin; one login serves all threads.

    `credentials` reads the e-mail and the password, at each login; neither is kept.
    """

    def __init__(
        self, http: ApiClient, credentials: Credentials, monotonic: Callable[[], float]
    ) -> None:
        self._http = http
        self._credentials = credentials
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._token: AccessToken | None = None
        self._ends = 0.0
        self._failure = RecentFailure(monotonic)

    def ensure(self) -> AccessToken:
        """Return the session's token; log in or refresh it first if it needs that.

        Raises what `ApiClient.send` raises, and `LoginRefusedError`.
        """
        with self._lock:
            if self._token:
                early = min(REFRESH_EARLY, self._token.lifetime / 3)
                if self._monotonic() < self._ends - early:
                    return self._token
            return self._renew()

    def send(
        self,
        call: Call,
        *,
        item: str = "",
        json: dict[str, Any] | None = None,
        each: Callable[[Any], object] | None = None,
    ) -> Any:  # noqa: ANN401 - JSON that nobody has checked yet
        """Send a call with the admin's bearer; after a 401 send it once more with a new one.

        Return the JSON of the answer, or with `each` what that makes of the items of an array.
        Raises `LoginRefusedError`, and the `ApiError` of any other failure.
        """
        token = self.ensure()
        try:
            return self._http.send(call, item=item, bearer=token.secret, json=json, each=each)
        except UnauthorizedError:
            with self._lock:
                current = self._token
                # It differs where another thread was faster.
                token = current if current and current is not token else self._renew()
            return self._http.send(call, item=item, bearer=token.secret, json=json, each=each)

    def log_out(self) -> None:
        """End the session, whose refresh token would live on for 7 days; failures do not matter."""
        with self._lock:
            token, self._token = self._token, None
        secret = token.refresh_token if token else None
        # A service token would be revoked by this call.
        if secret and not _is_service_token(secret):
            with suppress(ApiError):
                self._http.send(LOGOUT, query={"refresh_token": secret})

    def _renew(self) -> AccessToken:
        self._failure.raise_again()
        before = self._token.refresh_token if self._token else None
        try:
            token = refresh(self._http, before) or log_in(self._http, *self._credentials())
        except ApiError as error:
            refused = isinstance(error, LoginRefusedError)
            self._failure.remember(error, PAUSE_AFTER_REFUSAL if refused else PAUSE_AFTER_FAULT)
            raise
        self._token, self._ends = token, self._monotonic() + token.lifetime
        return token


def _is_service_token(secret: str) -> bool:
    try:
        ServiceToken.parse(secret)
    except MalformedTokenError:
        return False
    return True

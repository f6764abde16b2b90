"""The admin's session: log in once, refresh, and log in again when the refresh token has expired.

By the API's guide access tokens live 15 minutes and refresh tokens 7 days; the server's
`expires_in` decides. Lifetimes are counted on a monotonic clock, so a wrong wall clock does no
harm.
"""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from rotator.errors import ApiError, ApiFaultError, LoginRefusedError
from rotator.nocturna.client import LOGIN, REFRESH, ApiClient, Call, UnauthorizedError

DEFAULT_LIFETIME = 900.0
LONGEST_LIFETIME = 366 * 86400.0
REFRESH_EARLY = 60.0
# A failed login is not repeated at once: 1,000 tokens must not cause 1,000 wrong passwords, nor
# wait 1,000 times for a server that is down.
PAUSE_AFTER_REFUSAL = 60.0
PAUSE_AFTER_FAULT = 10.0
_VISIBLE_ASCII = re.compile(r"[!-~]+")


def is_bearer(value: object) -> TypeGuard[str]:
    """Tell whether a header and a query can carry this as a token."""
    return isinstance(value, str) and _VISIBLE_ASCII.fullmatch(value) is not None


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A short-lived bearer; `lifetime` is in seconds, from the moment of the answer."""

    secret: str = field(repr=False)
    lifetime: float
    refresh_token: str | None = field(repr=False)


def log_in(http: ApiClient, email: str, password: str) -> AccessToken:
    """Log a user in; raises `LoginRefusedError` for a wrong e-mail or password."""
    body = http.send(LOGIN, form={"username": email, "password": password})
    return parse_access_token(LOGIN, body)


def refresh(http: ApiClient, refresh_token: str | None, call: Call = REFRESH) -> AccessToken | None:
    """Return a new access token; None where only a new login helps."""
    if not refresh_token:
        return None
    try:
        body = http.send(call, query={"refresh_token": refresh_token})
    except ApiError as error:
        if error.retryable:
            raise
        return None
    return parse_access_token(call, body)


def parse_access_token(call: Call, body: object) -> AccessToken:
    """Check the answer of a login, a refresh or an exchange; raises `ApiFaultError`."""
    fields = body if isinstance(body, dict) else {}
    secret, refresh_token = fields.get("access_token"), fields.get("refresh_token")
    if not is_bearer(secret):
        raise ApiFaultError(f"{call.doing}: the API's answer has no access token")
    lifetime = _read_lifetime(fields.get("expires_in"))
    return AccessToken(secret, lifetime, refresh_token if is_bearer(refresh_token) else None)


def _read_lifetime(seconds: object) -> float:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return DEFAULT_LIFETIME
    return float(seconds) if 0 < seconds <= LONGEST_LIFETIME else DEFAULT_LIFETIME


class RecentFailure:
    """Remembers the last failure of a call; `monotonic` counts seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._error: ApiError | None = None
        self._until = 0.0

    def remember(self, error: ApiError, seconds: float) -> None:
        """Keep this failure for so long."""
        self._error, self._until = error, self._monotonic() + seconds

    def raise_again(self) -> None:
        """Raise the failure once more while it is kept; do nothing otherwise."""
        if self._error and self._monotonic() < self._until:
            raise type(self._error)(str(self._error))


@dataclass(frozen=True, slots=True)
class Credentials:
    """Read the admin's e-mail and password; called at each login, and neither is kept."""

    email: Callable[[], str]
    password: Callable[[], str] = field(repr=False)


class AdminSession:
    """Sends calls as the admin; one login serves all threads."""

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

    def send(self, call: Call, *, item: str = "", json: dict[str, Any] | None = None) -> Any:  # noqa: ANN401 - JSON that nobody has checked yet
        """Send a call with the admin's bearer; after a 401 send it once more with a new one.

        Raises what `ApiClient.send` raises, and `LoginRefusedError`.
        """
        token = self.ensure()
        try:
            return self._http.send(call, item=item, bearer=token.secret, json=json)
        except UnauthorizedError:
            with self._lock:
                current = self._token
                # It differs where another thread was faster.
                token = current if current and current is not token else self._renew()
            return self._http.send(call, item=item, bearer=token.secret, json=json)

    def _renew(self) -> AccessToken:
        self._failure.raise_again()
        before = self._token.refresh_token if self._token else None
        try:
            token = refresh(self._http, before) or log_in(
                self._http, self._credentials.email(), self._credentials.password()
            )
        except ApiError as error:
            refused = isinstance(error, LoginRefusedError)
            self._failure.remember(error, PAUSE_AFTER_REFUSAL if refused else PAUSE_AFTER_FAULT)
            raise
        self._token, self._ends = token, self._monotonic() + token.lifetime
        return token

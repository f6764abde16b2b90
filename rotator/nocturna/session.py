"""The admin's session: log in once, refresh, and log in again when the refresh token is over.

Access tokens live 15 minutes by the API's guide (the server's `expires_in` counts), refresh tokens
7 days. Lifetimes are counted on a monotonic clock, so a wrong wall clock does no harm.
"""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rotator.errors import ApiError, ApiFaultError, LoginRefusedError
from rotator.nocturna.calls import LOGIN, REFRESH, Call, UnauthorizedError
from rotator.nocturna.client import Answer, ApiClient


class RecentFailure:
    """Remembers the last failure of a call; `monotonic` counts seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._error: ApiError | None = None
        self._until = 0.0

    def remember(self, error: ApiError, seconds: float) -> None:
        """Let this failure count for so long."""
        self._error, self._until = error, self._monotonic() + seconds

    def raise_again(self) -> None:
        """Raise the failure once more while it counts; do nothing otherwise."""
        if self._error and self._monotonic() < self._until:
            raise type(self._error)(str(self._error))


DEFAULT_LIFETIME = 900.0
LONGEST_LIFETIME = 366 * 86400.0
REFRESH_EARLY = 60.0
# A failed login is not tried again at once: 1,000 tokens must not mean 1,000 wrong passwords, nor
# wait 1,000 times for a server that is down.
PAUSE_AFTER_REFUSAL = 60.0
PAUSE_AFTER_FAULT = 10.0
_VISIBLE_ASCII = re.compile(r"[!-~]+")  # what a header and a query may carry


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A short-lived bearer; `lifetime` is in seconds, from the moment of the answer."""

    secret: str = field(repr=False)
    lifetime: float
    refresh_token: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Ways to get the admin's e-mail and password, used at each login; neither is kept."""

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

    def ensure(self) -> None:
        """Log in, or refresh the session, unless it is fresh; make no other call.

        Raises what `Http.send` raises, and `LoginRefusedError`.
        """
        self._fresh()

    def send(self, call: Call, *, item: str = "", json: dict[str, Any] | None = None) -> Answer:
        """Send a call with the admin's bearer, once more with a new one after a 401.

        Raises what `Http.send` raises, and `LoginRefusedError`.
        """
        token = self._fresh()
        try:
            return self._http.send(call, item=item, bearer=token.secret, json=json)
        except UnauthorizedError:
            token = self._replaced(token)
            return self._http.send(call, item=item, bearer=token.secret, json=json)

    def _fresh(self) -> AccessToken:
        with self._lock:
            if self._token is None:
                return self._renewed(None)
            early = min(REFRESH_EARLY, self._token.lifetime / 3)
            if self._monotonic() < self._ends - early:
                return self._token
            return self._renewed(self._token)

    def _replaced(self, refused: AccessToken) -> AccessToken:
        with self._lock:
            if self._token and self._token is not refused:
                return self._token  # another thread was faster
            return self._renewed(refused)

    def _renewed(self, token: AccessToken | None) -> AccessToken:
        self._failure.raise_again()
        try:
            return self._refresh(token) if token else self._log_in()
        except ApiError as error:
            refused = isinstance(error, LoginRefusedError)
            self._failure.remember(error, PAUSE_AFTER_REFUSAL if refused else PAUSE_AFTER_FAULT)
            raise

    def _refresh(self, token: AccessToken) -> AccessToken:
        if not token.refresh_token:
            return self._log_in()
        try:
            answer = self._http.send(REFRESH, query={"refresh_token": token.refresh_token})
        except ApiError as error:
            if error.retryable:
                raise
            return self._log_in()
        return self._adopt(REFRESH, answer)

    def _log_in(self) -> AccessToken:
        form = {"username": self._credentials.email(), "password": self._credentials.password()}
        return self._adopt(LOGIN, self._http.send(LOGIN, form=form))

    def _adopt(self, call: Call, answer: Answer) -> AccessToken:
        self._token = parse_access_token(call, answer)
        self._ends = self._monotonic() + self._token.lifetime
        return self._token


def parse_access_token(call: Call, answer: Answer) -> AccessToken:
    """Check and take over the answer of a login, a refresh or an exchange."""
    body = answer.body if isinstance(answer.body, dict) else {}
    secret, refresh = body.get("access_token"), body.get("refresh_token")
    if not isinstance(secret, str) or not _VISIBLE_ASCII.fullmatch(secret):
        raise ApiFaultError(f"{call.doing}: the API's answer has no access token")
    if not isinstance(refresh, str) or not _VISIBLE_ASCII.fullmatch(refresh):
        refresh = None
    return AccessToken(secret, _lifetime(body.get("expires_in")), refresh)


def _lifetime(seconds: object) -> float:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return DEFAULT_LIFETIME
    return float(seconds) if 0 < seconds <= LONGEST_LIFETIME else DEFAULT_LIFETIME

"""Access tokens for a user: log in, refresh, and log in again when the refresh token is over."""

import random
from collections.abc import Callable
from dataclasses import replace

from rotator.client.access_tokens import AccessTokens, Jitter
from rotator.client.clock import Seconds
from rotator.client.service_token import LIMITS
from rotator.errors import ApiError, ConfigError
from rotator.nocturna.calls import LOGIN, REFRESH
from rotator.nocturna.client import ApiClient, Limits
from rotator.nocturna.session import AccessToken, parse_access_token

_REFRESH = replace(REFRESH, doing="refresh the user's session")
_FIRST_PAUSE = 10.0  # servers lock accounts after too many wrong passwords


class UserSession(AccessTokens):
    """Keeps a user logged in; share one between all threads and tasks.

    E-mail and password are texts or callables, asked at each login. Access tokens live 15 minutes
    and refresh tokens 7 days by the API's guide; the server's `expires_in` counts. When it has no
    usable token, `get_access_token` raises `LoginRefusedError` for a wrong e-mail or password.
    Raises `ConfigError` for an unusable URL, and for what is neither text nor callable.
    """

    def __init__(  # noqa: PLR0913 - what a test passes in, by name
        self,
        api_url: str,
        email: str | Callable[[], str],
        password: str | Callable[[], str],
        *,
        allow_insecure_http: bool = False,
        limits: Limits = LIMITS,
        now: Seconds | None = None,
        jitter: Jitter = random.random,
    ) -> None:
        _require(email, "email")
        _require(password, "password")
        self._email = email
        self._password = password
        self._refresh_token: str | None = None
        super().__init__(
            api_url,
            allow_insecure_http=allow_insecure_http,
            limits=limits,
            first_pause=_FIRST_PAUSE,
            now=now,
            jitter=jitter,
        )

    def __repr__(self) -> str:
        return f"UserSession({self.api_url!r})"

    def _fetch(self, *, anew: bool, patient: bool) -> AccessToken:
        del anew  # a refresh token outlives the access token that was refused
        http = self._http(patient=patient)
        token = self._refreshed(http) or self._logged_in(http)
        self._refresh_token = token.refresh_token
        return token

    def _refreshed(self, http: ApiClient) -> AccessToken | None:
        if self._refresh_token is None:
            return None
        try:
            answer = http.send(_REFRESH, query={"refresh_token": self._refresh_token})
        except ApiError as error:
            if error.retryable:
                raise
            return None
        return parse_access_token(_REFRESH, answer)

    def _logged_in(self, http: ApiClient) -> AccessToken:
        form = {"username": _text(self._email), "password": _text(self._password)}
        return parse_access_token(LOGIN, http.send(LOGIN, form=form))


def _require(value: object, name: str) -> None:
    if not isinstance(value, str) and not callable(value):  # as `os.environ.get` may return
        found = type(value).__name__
        raise ConfigError(f"{name}: found {found}, expected a text, or a callable that returns it")


def _text(value: str | Callable[[], str]) -> str:
    return value if isinstance(value, str) else value()

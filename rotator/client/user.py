"""Access tokens for a user: log in, refresh, and log in again when the refresh token expires."""

import random
from collections.abc import Callable

from rotator.client.access_tokens import BOOT_SECONDS, LIMITS, AccessTokens, Jitter, Seconds
from rotator.errors import ConfigError, has_control
from rotator.http.client import Limits
from rotator.nocturna.api import REFRESH, AccessToken, ApiClient, log_in, refresh

_REFRESH = REFRESH._replace(doing="refresh the user's session")


class UserSession(AccessTokens):
    """Keeps a user logged in, and provides access tokens.

    Make one for each user, and share it between all threads and tasks. By the API's guide access
    tokens live 15 minutes and refresh tokens 7 days; what counts is the API's `expires_in`.
    Creating a session sends nothing.

    Args:
        api_url: the API's base URL, which ends in `/api`.
        email: the user's e-mail, or a callable that returns it; it is called at each login.
        password: the password, or a callable that returns it; it is called at each login.
        allow_insecure_http: permit `http` to another machine, which shows the password to the
            network.
        limits: timeouts and retries of the calls, in seconds.
        now: the clock of lifetimes and pauses, in seconds; for tests.
        jitter: returns random numbers from 0 to 1; for tests.

    Raises:
        ConfigError: `api_url` is unusable, or an argument is neither text nor callable.
    """

    _first_pause = 10.0  # servers lock accounts after too many wrong passwords

    def __init__(  # noqa: PLR0913 - keywords, most of them for tests
        self,
        api_url: str,
        email: str | Callable[[], str],
        password: str | Callable[[], str],
        *,
        allow_insecure_http: bool = False,
        limits: Limits = LIMITS,
        now: Seconds = BOOT_SECONDS,
        jitter: Jitter = random.random,
    ) -> None:
        self._email = _as_callable(email, "email")
        self._password = _as_callable(password, "password")
        self._refresh_token: str | None = None
        super().__init__(
            api_url, allow_insecure_http=allow_insecure_http, limits=limits, now=now, jitter=jitter
        )

    def __repr__(self) -> str:
        return f"UserSession({self.api_url!r})"

    def _fetch(self, http: ApiClient, *, anew: bool) -> AccessToken:
        del anew  # a refresh token outlives the access token that was refused
        token = refresh(http, self._refresh_token, _REFRESH)
        token = token or log_in(http, self._email(), self._password())
        self._refresh_token = token.refresh_token
        return token


def _as_callable(value: str | Callable[[], str], name: str) -> Callable[[], str]:
    def checked(text: str) -> str:
        if isinstance(text, str) and has_control(text):
            raise ConfigError(f"{name}: found line breaks or control characters in it: cut them")
        return text

    if isinstance(value, str):
        checked(value)
        return lambda: value
    if callable(value):
        return lambda: checked(value())
    found = type(value).__name__  # such as what `os.environ.get` returns
    raise ConfigError(f"{name}: found {found}, expected a text, or a callable that returns it")

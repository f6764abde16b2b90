"""The service token that a bot read last, and the access tokens that it is exchanged for."""

import logging
import random
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from rotator.client.access_tokens import (
    BOOT_SECONDS,
    LIMITS,
    AccessTokens,
    Backoff,
    Jitter,
    Seconds,
    call_after_fork,
)
from rotator.client.sources import TokenSource, open_source
from rotator.client.status import RENEW_BEFORE, TokenStatus, status_of
from rotator.clock import Clock, utc_now
from rotator.errors import (
    RotatorError,
    ServiceTokenRefusedError,
    ServiceTokenUnavailableError,
    TokenRefusedError,
)
from rotator.http.client import Limits
from rotator.nocturna.api import EXCHANGE, AccessToken, ApiClient, parse_access_token
from rotator.stores.port import current_folder
from rotator.tokens import ServiceToken

_log = logging.getLogger(__name__)
# Pauses between two reads of a store on the network while its token is refused or missing: short,
# so that a rotated one is used within seconds.
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 5.0


class CachedServiceToken:
    """The service token of a source, as it was read last; threads may share it."""

    def __init__(self, source: TokenSource, now: Seconds, jitter: Jitter) -> None:
        self.source = source
        self.latest: ServiceToken | None = None
        self._now = now
        self._backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE, jitter)
        self._renew_lock()
        call_after_fork(self._renew_lock)

    def _renew_lock(self) -> None:
        # Also in the child of a fork, where no thread would release the old one.
        self._lock = threading.Lock()

    def get(self) -> ServiceToken:
        """Return the token that was read last, or read the first one.

        Raises `ServiceTokenUnavailableError`.
        """
        if self.latest:
            return self.latest
        with self._lock:
            if self.latest is None:
                self.latest = self.source.read()
            return self.latest

    def reread(self) -> ServiceToken:
        """Read the source; if that fails, return the token that was read last.

        Raises `ServiceTokenUnavailableError` if there is none.
        """
        with self._lock:
            try:
                self.latest = self.source.read()
            except ServiceTokenUnavailableError as error:
                if self.latest is None:
                    raise
                _log.warning("%s; the token that was read last is used", error)
            return self.latest

    def newer_than(self, refused: str | None) -> ServiceToken | None:
        """Return another token than the refused one (None: any); None if there is none.

        Reads the source: a cheap one each time, others after a growing pause.
        """
        with self._lock:
            if self.latest and self.latest.secret != refused:
                return self.latest
            if not self.source.cheap and self._now() < self._backoff.until:
                return None
            try:
                token = self.source.read()
            except ServiceTokenUnavailableError as error:
                _log.debug("%s", error)
                token = None
            if token is None or token.secret == refused:
                self._backoff.begin(self._now())
                return None
            self._backoff.reset()
            self.latest = token
            return token


class TokenManager(AccessTokens):
    """Exchanges a service token for access tokens, and refreshes them in time.

    Make one for each service token, and share it between all threads, tasks and forked workers.
    The service token is read again from its source whenever that may help, so a bot uses a rotated
    one without a restart. Creating a manager sends and reads nothing.

    Args:
        api_url: the API's base URL, which ends in `/api`.
        service_token: where the service token is: `env:NAME`, `file:PATH`, a store URL such as
            `dotenv:.env#NAME`, a callable that returns it, or the token itself, which then cannot
            be rotated. Relative paths start at the current folder.
        allow_insecure_http: permit `http` to another machine, which shows the token to the network.
        limits: timeouts and retries of the calls, in seconds.
        now: the clock of lifetimes and pauses, in seconds; for tests.
        clock: the wall clock of `token_status`, as aware UTC; for tests.
        jitter: returns random numbers from 0 to 1; for tests.

    Raises:
        ConfigError: `api_url` is unusable, no installed store serves `service_token`, or one of
            them is no text.
        MalformedTokenError: `service_token` is neither a source nor a service token.
    """

    _first_pause = 1.0

    def __init__(  # noqa: PLR0913 - keywords, most of them for tests
        self,
        api_url: str,
        service_token: str | Callable[[], str],
        *,
        allow_insecure_http: bool = False,
        limits: Limits = LIMITS,
        now: Seconds = BOOT_SECONDS,
        clock: Clock = utc_now,
        jitter: Jitter = random.random,
    ) -> None:
        self._clock = clock
        source = open_source(service_token, current_folder())
        self._service_token = CachedServiceToken(source, now, jitter)
        self._refused: str | None = None
        super().__init__(
            api_url, allow_insecure_http=allow_insecure_http, limits=limits, now=now, jitter=jitter
        )

    def __repr__(self) -> str:
        return f"TokenManager({self.api_url!r}, {self._service_token.source.name!r})"

    def get_service_token(self) -> str:
        """Return the service token itself, as it was read last.

        Raises:
            ServiceTokenUnavailableError: the source has no service token, or cannot be read.
        """
        return self._service_token.get().secret

    async def get_service_token_async(self) -> str:
        """Do what `get_service_token` does without blocking the event loop of asyncio."""
        if token := self._service_token.latest:
            return token.secret
        import asyncio  # noqa: PLC0415 - bots without tasks need none of it

        return await asyncio.to_thread(self.get_service_token)

    def newer_service_token(self, refused: str) -> str | None:
        """Return the service token if it is another one than `refused`, to which came a 401.

        Reads the source, a store on the network at most every few seconds. Returns None if there is
        no other token, or the source cannot be read.
        """
        newer = self._service_token.newer_than(refused)
        return newer.secret if newer else None

    def token_status(self, renew_before: timedelta = RENEW_BEFORE) -> TokenStatus:
        """Return how long the service token lives that was read last; see `token_status`.

        Raises:
            ServiceTokenUnavailableError: the source has no service token, or cannot be read.
        """
        return status_of(self._service_token.get(), renew_before, self._clock())

    def _fetch(self, http: ApiClient, *, anew: bool) -> AccessToken:
        cached = self._service_token

        def exchange(token: ServiceToken) -> AccessToken:
            self._refused = token.secret  # if it fails
            return parse_access_token(http, EXCHANGE, http.send(EXCHANGE, bearer=token.secret))

        _, access_token = exchange_newest(
            cached.reread() if anew or cached.source.cheap else cached.get(),
            exchange,
            lambda refused: cached.newer_than(refused.secret),
            subject=EXCHANGE.doing,
            advice=f"{cached.source.name}; {cached.source.remedy}",
        )
        return access_token

    def _is_worth_a_call(self, failure: type[RotatorError]) -> bool:
        if failure is ServiceTokenUnavailableError:
            return self._service_token.newer_than(None) is not None
        if failure is ServiceTokenRefusedError:
            return self._service_token.newer_than(self._refused) is not None
        return False


def exchange_newest(
    token: ServiceToken,
    exchange: Callable[[ServiceToken], AccessToken],
    read_newer: Callable[[ServiceToken], ServiceToken | None],
    *,
    subject: str,
    advice: str,
) -> tuple[ServiceToken, AccessToken]:
    """Exchange a service token, and if the API refuses it, the one that has replaced it.

    `read_newer` returns another token than the refused one, or None. Returns the exchanged service
    token and its access token. Raises `ServiceTokenRefusedError`, in whose message `subject` comes
    first and `advice`, the source and what to do, last; and what the two functions raise.
    """
    try:
        return token, exchange(token)
    except TokenRefusedError:
        newer = read_newer(token)
    if newer:
        token = newer
        with suppress(TokenRefusedError):
            return token, exchange(token)
    raise ServiceTokenRefusedError(
        f"{subject}: the API does not accept service token {token.name} (401), and there is no"
        f" other in {advice}"
    )

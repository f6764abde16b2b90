"""The service token as it was last read, and when it is worth reading it again."""

import logging
import random
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from rotator.client.access_tokens import AccessTokens, Backoff, Jitter, in_thread
from rotator.client.clock import Seconds, boot_seconds
from rotator.client.errors import ServiceTokenRefusedError, ServiceTokenUnavailableError
from rotator.client.sources import Source, source_of
from rotator.client.status import RENEW_BEFORE, TokenStatus, status_of
from rotator.clock import Clock, utc_now
from rotator.errors import ConfigError, RotatorError, TokenRefusedError
from rotator.nocturna.calls import EXCHANGE
from rotator.nocturna.client import ApiClient, Limits
from rotator.nocturna.session import AccessToken, parse_access_token
from rotator.tokens import ServiceToken

_log = logging.getLogger(__name__)
# A store on the network is not asked at each failed call for a token that is not there yet, and
# still a rotated one is noticed within seconds.
_FIRST_LOOK, _RAREST_LOOK = 1.0, 5.0


class CachedServiceToken:
    """Holds the service token of a source; safe to share between threads."""

    def __init__(self, source: Source, now: Seconds, jitter: Jitter) -> None:
        self.source = source
        self._now = now
        self._token: ServiceToken | None = None
        self._pause = Backoff(_FIRST_LOOK, _RAREST_LOOK, jitter)
        self.renew_lock()

    def renew_lock(self) -> None:
        """Take a new lock, in a child of a fork: a thread that held the old one is not there."""
        self._lock = threading.Lock()

    @property
    def at_hand(self) -> ServiceToken | None:
        """The token that was last read, None before the first time."""
        return self._token

    def current(self) -> ServiceToken:
        """Return the token that was last read; read it if it never was.

        Raises `ServiceTokenUnavailableError`.
        """
        if self._token:
            return self._token
        with self._lock:
            if self._token is None:
                self._token = self.source.read()
            return self._token

    def reread(self) -> ServiceToken:
        """Read the source; where that fails return the token of the last time.

        Raises `ServiceTokenUnavailableError` when there was none.
        """
        with self._lock:
            try:
                self._token = self.source.read()
            except ServiceTokenUnavailableError as error:
                if self._token is None:
                    raise
                _log.warning("%s; the one that was read before is used", error)
            return self._token

    def newer_than(self, refused: str | None) -> ServiceToken | None:
        """Return another token than the refused one (None: any), None where there is none.

        The source is read for it: a cheap one each time, another one after a pause that grows.
        """
        with self._lock:
            if self._token and self._token.secret != refused:
                return self._token
            if not self.source.cheap and self._now() < self._pause.until:
                return None
            try:
                found = self.source.read()
            except ServiceTokenUnavailableError as error:
                _log.debug("%s", error)
                found = None
            if found is None or found.secret == refused:
                self._pause.begin(self._now())
                return None
            self._pause.over()
            self._token = found
            return found


_FIRST_PAUSE = 1.0
LIMITS = Limits(longest_pause=5.0)  # somebody waits: better an error than a long Retry-After


class TokenManager(AccessTokens):
    """Exchanges a service token for access tokens; share one between all threads and tasks.

    `service_token` is the token itself, `env:NAME`, `file:PATH`, a store URL such as
    `dotenv:.env#NAME`, or a callable that returns the token; relative files start at the current
    folder. It is read again whenever that may help, so a rotated one is taken up. `api_url` ends in
    `/api`; plain http needs `allow_insecure_http`, except on this machine.

    Raises `ConfigError` or `MalformedTokenError` for what cannot work; nothing is sent yet.
    """

    def __init__(  # noqa: PLR0913 - what a test passes in, by name
        self,
        api_url: str,
        service_token: str | Callable[[], str],
        *,
        allow_insecure_http: bool = False,
        limits: Limits = LIMITS,
        now: Seconds | None = None,
        clock: Clock = utc_now,
        jitter: Jitter = random.random,
    ) -> None:
        self._clock = clock
        now = now or boot_seconds()
        self._keeper = CachedServiceToken(source_of(service_token, _current_folder()), now, jitter)
        self._refused: str | None = None
        super().__init__(
            api_url,
            allow_insecure_http=allow_insecure_http,
            limits=limits,
            first_pause=_FIRST_PAUSE,
            now=now,
            jitter=jitter,
        )

    def __repr__(self) -> str:
        return f"TokenManager({self.api_url!r}, {self._keeper.source.name!r})"

    def get_service_token(self) -> str:
        """Return the service token itself, as last read; raises `ServiceTokenUnavailableError`."""
        return self._keeper.current().secret

    async def get_service_token_async(self) -> str:
        """Do the same without blocking the event loop of asyncio."""
        if found := self._keeper.at_hand:
            return found.secret
        return await in_thread(self.get_service_token)

    def newer_service_token(self, refused: str) -> str | None:
        """Return another service token than the one that was refused (401), if there is one now.

        The source is read for it; a store on the network every few seconds at most.
        """
        newer = self._keeper.newer_than(refused)
        return newer.secret if newer else None

    def token_status(self, renew_before: timedelta = RENEW_BEFORE) -> TokenStatus:
        """Return what the service token says of itself, as last read from its source.

        Raises `ServiceTokenUnavailableError` when there is none, or it cannot be read.
        """
        return status_of(self._keeper.current(), renew_before, self._clock())

    def _fetch(self, *, anew: bool, patient: bool) -> AccessToken:
        keeper = self._keeper
        token = keeper.reread() if anew or keeper.source.cheap else keeper.current()
        http = self._http(patient=patient)
        try:
            return _exchanged(http, token)
        except TokenRefusedError:
            newer = keeper.newer_than(token.secret)
            if newer is None:
                raise self._refusal(token) from None
        try:
            return _exchanged(http, newer)
        except TokenRefusedError:
            raise self._refusal(newer) from None

    def _refusal(self, token: ServiceToken) -> ServiceTokenRefusedError:
        self._refused = token.secret
        return ServiceTokenRefusedError(
            f"{EXCHANGE.doing}: the API does not accept service token {token.name} (401), and there"
            f" is no other in {self._keeper.source.name}; {self._keeper.source.remedy}"
        )

    def _renew_locks(self) -> None:
        super()._renew_locks()
        self._keeper.renew_lock()

    def _is_worth_a_call(self, failure: type[RotatorError]) -> bool:
        if failure is ServiceTokenUnavailableError:
            return self._keeper.newer_than(None) is not None
        if failure is ServiceTokenRefusedError:
            return self._keeper.newer_than(self._refused) is not None
        return False


def _current_folder() -> Path:
    try:
        return Path.cwd()
    except OSError:
        raise ConfigError("the current folder is gone: change to another one") from None


def _exchanged(http: ApiClient, token: ServiceToken) -> AccessToken:
    return parse_access_token(EXCHANGE, http.send(EXCHANGE, bearer=token.secret))

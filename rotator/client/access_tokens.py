"""A cached access token for all threads and tasks of a process: when and how it is refreshed."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from rotator.clock import in_words, utc_now
from rotator.errors import ConfigError, RotatorError, quote_value
from rotator.http.client import Limits
from rotator.http.urls import is_readable_on_the_way, parse_http_url
from rotator.nocturna.api import AccessToken, ApiClient

if TYPE_CHECKING:
    import asyncio

Seconds = Callable[[], float]
"""A clock of seconds that never goes back."""
Jitter = Callable[[], float]
"""Returns a random number from 0 to 1."""

LIMITS = Limits(longest_pause=5.0)  # a caller waits: an error is better than a long Retry-After
_ADVISORY_SPAN = 300.0  # a third of the 15 minutes that the API's guide gives an access token
_SHORTEST_LIFE = 1.0  # a lifetime of nothing would mean an exchange for every call
_LONGEST_PAUSE = 60.0
_log = logging.getLogger(__name__)


# The clock that lifetimes are counted on; setting the wall clock does not move it. On Linux it is
# CLOCK_BOOTTIME, because the CLOCK_MONOTONIC of `time.monotonic` stands still while a laptop sleeps
# or a virtual machine is suspended: a token that expired meanwhile would look valid. Elsewhere, as
# on macOS, CLOCK_MONOTONIC counts sleep.
BOOT_SECONDS: Seconds = partial(
    time.clock_gettime, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
)


@dataclass(frozen=True, slots=True)
class CachedAccessToken:
    """An access token and when to refresh it, in seconds of a clock that never goes back.

    From `advisory_at` on a refresh is tried, and the token is used if that fails. From
    `mandatory_at` on, when it has expired, it is not used any more.
    """

    secret: str = field(repr=False)
    advisory_at: float
    mandatory_at: float

    @classmethod
    def nothing(cls) -> CachedAccessToken:
        """Return the state without a token: a refresh is mandatory. Each one is a new object."""
        return cls("", float("-inf"), float("-inf"))

    @classmethod
    def requested_at(cls, moment: float, token: AccessToken) -> CachedAccessToken:
        """Count a token's lifetime from its request; it cannot have begun earlier."""
        life = max(token.lifetime, _SHORTEST_LIFE)
        advisory_span = min(_ADVISORY_SPAN, life / 3)
        return cls(token.secret, moment + life - advisory_span, moment + life)


class Backoff:
    """A pause after each failure, twice as long as the last one, from `first` to `longest` seconds.

    Each is shortened by up to a half at random, so that bots that failed together do not come back
    together. The first `free` failures have no pause. `until` is the end of the last pause, on the
    clock of whoever calls `begin`.
    """

    def __init__(self, first: float, longest: float, jitter: Jitter, *, free: int = 0) -> None:
        self._first = first
        self._longest = longest
        self._jitter = jitter
        self._free = free
        self._next, self._free_left = first, free
        self.until = float("-inf")

    def begin(self, now: float) -> float:
        """Count a failure, and return the length of the pause that begins now."""
        length = 0.0
        if self._free_left:
            self._free_left -= 1
        else:
            length = self._next * (1 - self._jitter() / 2)
            self._next = min(self._longest, 2 * self._next)
        self.until = now + length
        return length

    def reset(self) -> None:
        """Forget all failures."""
        self._next, self._free_left = self._first, self._free
        self.until = float("-inf")


class SingleFlight:
    """Makes one call for all tasks of an event loop that need it at the same time."""

    def __init__(self, call: Callable[[], str]) -> None:
        self._call = call
        self._latest: tuple[object, asyncio.Future[str]] | None = None

    def join(self, key: object) -> asyncio.Future[str]:
        """Return the call in flight for this key in this event loop, or start one in a thread.

        A call for each task would take all threads of the loop's pool, which others need.
        """
        import asyncio  # noqa: PLC0415 - bots without tasks need none of it

        loop = asyncio.get_running_loop()
        if self._latest:
            latest_key, future = self._latest
            if latest_key is key and not future.done() and future.get_loop() is loop:
                return future
        future = loop.run_in_executor(None, self._call)
        # Or asyncio would log a failure that no task waits for.
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._latest = key, future
        return future


class AccessTokens(ABC):
    """What `TokenManager` and `UserSession` have in common: one access token for a whole process.

    Threads, tasks and the children of a fork may share an instance.
    """

    _first_pause: float  # seconds, after a first failed call

    def __init__(
        self,
        api_url: str,
        *,
        allow_insecure_http: bool,
        limits: Limits,
        now: Seconds,
        jitter: Jitter,
    ) -> None:
        self.api_url = _check_url(api_url, allow_insecure_http=allow_insecure_http)
        self._limits = limits
        self._without_retries = limits._replace(retries=0)  # for calls that nobody waits for
        self._now = now
        self._cached = CachedAccessToken.nothing()
        self._failure: tuple[type[RotatorError], str] | None = None
        self._backoff = Backoff(self._first_pause, _LONGEST_PAUSE, jitter)
        # An API that refuses every token would otherwise be asked for one at each call.
        self._invalidations = Backoff(1.0, _LONGEST_PAUSE, jitter, free=1)
        self._invalidated: str | None = None
        self._renew_locks()
        call_after_fork(self._renew_locks)

    def get_access_token(self) -> str:
        """Return an access token that the API should accept; call this before each request.

        A cached token costs a fraction of a microsecond. In its last five minutes (or the last
        third of a shorter life) one thread refreshes it while the others go on with it. Without a
        valid token all threads wait for one call.

        Raises:
            ApiError: there is no valid token, and the API does not give one. `retryable` says
                whether a later call may succeed. Until a pause of 1 to 60 seconds is over, further
                calls raise the same error without asking the API.
            ServiceTokenRefusedError: the API does not accept the service token (`TokenManager`).
            ServiceTokenUnavailableError: the service token cannot be read (`TokenManager`).
            LoginRefusedError: e-mail or password are wrong (`UserSession`).
        """
        cached = self._cached
        if self._now() < cached.advisory_at:
            return cached.secret
        return self._refresh(cached)

    async def get_access_token_async(self) -> str:
        """Do what `get_access_token` does without blocking the event loop of asyncio.

        All tasks of a loop wait for one call. Raises the same errors.
        """
        cached = self._cached
        now = self._now()
        if now < cached.advisory_at:
            return cached.secret
        if now < cached.mandatory_at:
            if now >= self._backoff.until:
                self._flight.join(cached)
            return cached.secret
        import asyncio  # noqa: PLC0415 - bots without tasks need none of it

        return await asyncio.shield(self._flight.join(cached))  # other tasks wait for it, too

    def invalidate(self, access_token: str) -> None:
        """Drop an access token that the API refused (401), so that the next call gets another.

        Nothing happens if it is not the cached token any more: of many threads that meet a 401 only
        the first causes a call. Nor does it if refusals come so often that the tokens cannot be to
        blame.

        Args:
            access_token: the very token that the refused request carried.
        """
        with self._swap:
            now = self._now()
            if self._cached.secret != access_token or now < self._invalidations.until:
                return
            if now > self._invalidations.until + _LONGEST_PAUSE:
                self._invalidations.reset()
            self._invalidations.begin(now)
            self._invalidated = access_token
            self._cached = CachedAccessToken.nothing()

    @abstractmethod
    def _fetch(self, http: ApiClient, *, anew: bool) -> AccessToken:
        """Get an access token; raises `RotatorError`. `anew`: none is cached, or it was refused."""

    def _is_worth_a_call(self, failure: type[RotatorError]) -> bool:
        """Tell whether a call may succeed before the backoff after this failure is over."""
        del failure
        return False

    def _renew_locks(self) -> None:
        # Also in the child of a fork, which has none of the threads that held the old ones.
        self._lock = threading.Lock()  # held during a refresh
        self._swap = threading.Lock()  # held for the moment in which `_cached` changes
        self._flight = SingleFlight(self.get_access_token)

    def _refresh(self, cached: CachedAccessToken) -> str:
        lock = self._lock
        if self._now() >= cached.mandatory_at:
            lock.acquire()
        elif self._now() < self._backoff.until or not lock.acquire(blocking=False):
            return cached.secret
        try:
            return self._refresh_locked()
        finally:
            lock.release()

    def _refresh_locked(self) -> str:
        cached, now = self._cached, self._now()
        if now < cached.advisory_at:
            return cached.secret  # another thread has refreshed it
        is_mandatory = now >= cached.mandatory_at
        if self._failure and now < self._backoff.until:
            kind, text = self._failure
            if not self._is_worth_a_call(kind):
                if is_mandatory:
                    raise kind(text)
                return cached.secret
        try:
            return self._replace(cached, self._limits if is_mandatory else self._without_retries)
        except RotatorError as error:
            self._failure = type(error), str(error)
            pause = self._backoff.begin(self._now())
            if is_mandatory:
                raise
            left = in_words(timedelta(seconds=cached.mandatory_at - self._now()))
            text = "%s; the cached access token is valid for another %s, the next try is in %.1f s"
            _log.warning(text, error, left, pause)
            return cached.secret

    def _replace(self, cached: CachedAccessToken, limits: Limits) -> str:
        requested_at = self._now()
        # A new client for each call, minutes apart: kept connections would be dead by then, or
        # shared by two processes after a fork.
        http = ApiClient(self.api_url, utc_now, limits)
        token = self._fetch(http, anew=not cached.secret)
        with self._swap:
            self._cached = CachedAccessToken.requested_at(requested_at, token)
            if token.secret == self._invalidated:
                # Access tokens made within the same second are equal: a late 401 to the old one
                # must not drop this one.
                self._invalidations.begin(self._now())
        self._failure = None
        self._backoff.reset()
        return token.secret


def _check_url(url: str, *, allow_insecure_http: bool) -> str:
    """Return the API's URL without a slash at its end; raises `ConfigError`."""
    if not isinstance(url, str):  # such as `os.environ.get` of a variable that is not set
        raise ConfigError(f"api_url: found {type(url).__name__}, expected a text")
    if "@" in url:
        raise ConfigError(
            "api_url: found a URL with a user or password in it, expected one without"
        )
    parts = parse_http_url(url)
    if parts is None:
        raise ConfigError(
            f"api_url: found {quote_value(url)}, expected a URL such as"
            " https://your-api-server.com/api"
        )
    if is_readable_on_the_way(parts) and not allow_insecure_http:
        raise ConfigError(
            "api_url: expected https: http would show the token to the network"
            " (allow_insecure_http=True permits it)"
        )
    return url.rstrip("/")


def call_after_fork(method: Callable[[], None]) -> None:
    """Call a method in each child of a fork, as long as its object is in use."""
    reference = weakref.WeakMethod(method)

    def call() -> None:
        if found := reference():
            found()

    os.register_at_fork(after_in_child=call)

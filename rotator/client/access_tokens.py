"""An access token with its times."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from rotator.client.clock import Seconds, boot_seconds
from rotator.client.origins import checked_url
from rotator.clock import in_words, utc_now
from rotator.errors import RotatorError
from rotator.nocturna.client import ApiClient, Limits
from rotator.nocturna.session import AccessToken

if TYPE_CHECKING:
    import asyncio

_STALE_SPAN = 300.0  # a third of the 15 minutes that the guide gives an access token
_SHORTEST_LIFE = 1.0  # a life of nothing would mean an exchange for every call


@dataclass(frozen=True, slots=True)
class CachedAccessToken:
    """An access token and until when (seconds of the manager's clock) it is fresh and usable."""

    secret: str = field(repr=False)
    fresh_until: float
    ends: float

    @classmethod
    def nothing(cls) -> CachedAccessToken:
        """Return what is held before the first token, and after one was refused: a new one each."""
        return cls("", float("-inf"), float("-inf"))

    @classmethod
    def since(cls, asked: float, token: AccessToken) -> CachedAccessToken:
        """Return a token that was asked for at that time; its life cannot have begun earlier."""
        life = max(token.lifetime, _SHORTEST_LIFE)
        return cls(token.secret, asked + life - min(_STALE_SPAN, life / 3), asked + life)


Jitter = Callable[[], float]


class Backoff:
    """A pause after each failure, twice as long as the one before, from `first` to `longest` (s).

    `jitter` returns a number from 0 to 1: a pause is cut by up to a half, so that bots which failed
    together do not come back together. The first `free` failures have none. `until` is the end of
    the last pause, on the clock of whoever calls `begin`.
    """

    def __init__(self, first: float, longest: float, jitter: Jitter, *, free: int = 0) -> None:
        self._first = first
        self._longest = longest
        self._jitter = jitter
        self._free = free
        self._next = first
        self._free_left = free
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

    def over(self) -> None:
        """Forget the failures: the next pause is a first one."""
        self._next = self._first
        self._free_left = self._free
        self.until = float("-inf")


P = ParamSpec("P")
T = TypeVar("T")


class SingleFlight:
    """Makes the call for the tasks of one event loop; other loops and threads have their own."""

    def __init__(self, call: Callable[[], str]) -> None:
        self._call = call
        self._latest: tuple[object, asyncio.Future[str]] | None = None

    def joined(self, reason: object) -> asyncio.Future[str]:
        """Return the call that is under way for that very reason, or begin one.

        A task of its own for each would take all threads of the loop's pool, which others need.
        """
        import asyncio  # noqa: PLC0415 - of no use to bots without tasks

        loop = asyncio.get_running_loop()
        if self._latest:
            of, future = self._latest
            if of is reason and not future.done() and future.get_loop() is loop:
                return future
        future = loop.run_in_executor(None, self._call)
        future.add_done_callback(_noticed)  # perhaps nobody waits for its failure
        self._latest = reason, future
        return future


async def in_thread(call: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
    """Make a call in a thread of the event loop's pool."""
    import asyncio  # noqa: PLC0415 - (the same)

    return await asyncio.to_thread(call, *args, **options)


def _noticed(future: asyncio.Future[str]) -> None:
    if not future.cancelled():
        future.exception()


_log = logging.getLogger(__name__)
_LONGEST_PAUSE = 60.0


class AccessTokens(ABC):
    """A cached access token for any number of threads and tasks, in this process and its forks.

    `now` is a clock of seconds that never goes back; `jitter` returns numbers from 0 to 1. Raises
    `ConfigError` for an unusable URL.
    """

    def __init__(  # noqa: PLR0913 - what all kinds of tokens need, by name
        self,
        api_url: str,
        *,
        allow_insecure_http: bool,
        limits: Limits,
        first_pause: float,
        now: Seconds | None,
        jitter: Jitter,
    ) -> None:
        self.api_url = checked_url(api_url, allow_insecure_http=allow_insecure_http)
        self._limits = limits
        self._now = now or boot_seconds()
        self._held = CachedAccessToken.nothing()
        self._failure: tuple[type[RotatorError], str] | None = None
        self._pause = Backoff(first_pause, _LONGEST_PAUSE, jitter)
        # A server that refuses every token at once would otherwise be asked for one at every call.
        self._doubts = Backoff(1.0, _LONGEST_PAUSE, jitter, free=1)
        self._dropped: str | None = None
        self._renew_locks()
        _call_after_fork(self._renew_locks)

    def get_access_token(self) -> str:
        """Return an access token that the API should accept.

        Without a usable one this waits for a call, and raises what that raises: `ApiError`, with
        `retryable` telling whether it may pass by itself, and what subclasses name.
        """
        held = self._held
        if self._now() < held.fresh_until:
            return held.secret
        return self._not_fresh(held)

    async def get_access_token_async(self) -> str:
        """Do the same without blocking the event loop of asyncio, with one call for all tasks."""
        held = self._held
        now = self._now()
        if now < held.fresh_until:
            return held.secret
        if now < held.ends:
            if now >= self._pause.until:
                self._flight.joined(held)
            return held.secret
        import asyncio  # noqa: PLC0415 - of no use to bots without tasks

        return await asyncio.shield(self._flight.joined(held))  # others wait for it, too

    def invalidate(self, access_token: str) -> None:
        """Drop this token, which the API refused (401), if it is still the current one.

        To be called with the very token that was sent: of many threads that meet a 401 only the
        first then causes a call. Nothing is dropped when this comes too often, as each drop costs a
        call and the tokens are then not to blame.
        """
        with self._swap:
            now = self._now()
            if self._held.secret != access_token or now < self._doubts.until:
                return
            if now > self._doubts.until + _LONGEST_PAUSE:
                self._doubts.over()
            self._doubts.begin(now)
            self._dropped = access_token
            self._held = CachedAccessToken.nothing()

    @abstractmethod
    def _fetch(self, *, anew: bool, patient: bool) -> AccessToken:
        """Get an access token; raises `RotatorError`.

        `anew`: there was none before, or it was refused. `patient`: somebody needs it now, so a
        failed call is tried again.
        """

    def _is_worth_a_call(self, failure: type[RotatorError]) -> bool:
        """Tell whether a call may help though the pause after this failure is not over."""
        del failure
        return False

    def _renew_locks(self) -> None:
        # Also in a child of a fork, where threads that held the old ones do not exist.
        self._lock = threading.Lock()  # held by whoever gets a token
        self._swap = threading.Lock()  # held for moments, around a change of `_held`
        self._flight = SingleFlight(self.get_access_token)

    def _http(self, *, patient: bool) -> ApiClient:
        # A new one for a call in ten minutes: kept connections would be dead by then, or be used by
        # two processes after a fork.
        limits = self._limits if patient else replace(self._limits, retries=0)
        return ApiClient(self.api_url, utc_now, limits)

    def _not_fresh(self, held: CachedAccessToken) -> str:
        lock = self._lock
        if self._now() < held.ends:
            if self._now() < self._pause.until or not lock.acquire(blocking=False):
                return held.secret
        else:
            lock.acquire()
        try:
            return self._renewed()
        finally:
            lock.release()

    def _renewed(self) -> str:
        held, now = self._held, self._now()
        if now < held.fresh_until:
            return held.secret  # another thread was faster
        usable = now < held.ends
        if (
            self._failure
            and now < self._pause.until
            and not self._is_worth_a_call(self._failure[0])
        ):
            if usable:
                return held.secret
            kind, text = self._failure
            raise kind(text)
        try:
            return self._replaced(held, patient=not usable)
        except RotatorError as error:
            self._failure = type(error), str(error)
            length = self._pause.begin(self._now())
            if not usable:
                raise
            left = in_words(timedelta(seconds=held.ends - self._now()))
            _log.warning(
                "%s; the access token of before works for another %s, the next try is in %.1f s",
                error,
                left,
                length,
            )
            return held.secret

    def _replaced(self, held: CachedAccessToken, *, patient: bool) -> str:
        asked = self._now()
        token = self._fetch(anew=not held.secret, patient=patient)
        with self._swap:
            self._held = CachedAccessToken.since(asked, token)
            if token.secret == self._dropped:
                # Tokens that the API makes within a second are equal: 401s of the one before, which
                # are on their way still, must not drop this one, too.
                self._doubts.begin(self._now())
        self._failure = None
        self._pause.over()
        return token.secret


def _call_after_fork(method: Callable[[], None]) -> None:
    reference = weakref.WeakMethod(method)

    def call() -> None:
        if found := reference():
            found()

    os.register_at_fork(after_in_child=call)

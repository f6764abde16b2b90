"""Access tokens in three states: fresh, stale and over. Where they come from is up to subclasses.

A *fresh* one is used. A *stale* one is used as well, while one thread gets the next; a failure then
is told in the log only. Without a usable one everybody waits for one call, whose failure is raised,
and raised again during the pause that follows, without another call.
"""

import logging
import os
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from rotator.client.clock import Seconds, boot_seconds
from rotator.client.flight import Flight
from rotator.client.held import Held
from rotator.client.origins import checked_url
from rotator.client.pause import Jitter, Pause
from rotator.clock import in_words, utc_now
from rotator.errors import RotatorError
from rotator.nocturna.client import Http, Limits
from rotator.nocturna.session import AccessToken

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
        self._held = Held.nothing()
        self._failure: tuple[type[RotatorError], str] | None = None
        self._pause = Pause(first_pause, _LONGEST_PAUSE, jitter)
        # A server that refuses every token at once would otherwise be asked for one at every call.
        self._doubts = Pause(1.0, _LONGEST_PAUSE, jitter, free=1)
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
            self._held = Held.nothing()

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
        self._flight = Flight(self.get_access_token)

    def _http(self, *, patient: bool) -> Http:
        # A new one for a call in ten minutes: kept connections would be dead by then, or be used by
        # two processes after a fork.
        limits = self._limits if patient else replace(self._limits, retries=0)
        return Http(self.api_url, utc_now, limits)

    def _not_fresh(self, held: Held) -> str:
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

    def _replaced(self, held: Held, *, patient: bool) -> str:
        asked = self._now()
        token = self._fetch(anew=not held.secret, patient=patient)
        with self._swap:
            self._held = Held.since(asked, token)
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

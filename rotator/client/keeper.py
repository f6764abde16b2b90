"""The service token as it was last read, and when it is worth reading it again."""

import logging
import threading

from rotator.client.clock import Seconds
from rotator.client.errors import ServiceTokenUnavailableError
from rotator.client.pause import Jitter, Pause
from rotator.client.sources import Source
from rotator.tokens import ServiceToken

_log = logging.getLogger(__name__)
# A store on the network is not asked at each failed call for a token that is not there yet, and
# still a rotated one is noticed within seconds.
_FIRST_LOOK, _RAREST_LOOK = 1.0, 5.0


class Keeper:
    """Holds the service token of a source; safe to share between threads."""

    def __init__(self, source: Source, now: Seconds, jitter: Jitter) -> None:
        self.source = source
        self._now = now
        self._token: ServiceToken | None = None
        self._pause = Pause(_FIRST_LOOK, _RAREST_LOOK, jitter)
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

"""A login that many stores share, kept alive."""

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backends.vault.failures import Answer, Names, RefusedError, refusal
from backends.vault.login import Lease, lease_of
from backends.vault.settings import Settings
from rotator.errors import StoreDeniedError

if TYPE_CHECKING:
    from backends.vault.connection import Server

_DENIED = 403
_OK = 200
_log = logging.getLogger(__name__)

# One for each server and login, and for the whole process: a fleet of a thousand tokens logs in
# once. `open_store` gets no more than a URL, so there is no other place to share it.
_SESSIONS: dict[Settings, "Session"] = {}
# A child of a fork would talk over its parent's connections, or wait for a lock that nobody holds.
os.register_at_fork(after_in_child=_SESSIONS.clear)


def shared(settings: Settings) -> "Session":
    """Return the session of this process with these settings; nothing is sent yet."""
    return _SESSIONS.setdefault(settings, Session(settings))


@dataclass(frozen=True, slots=True)
class _Held:
    lease: Lease
    due_at: float | None
    ends_at: float | None

    @classmethod
    def since(cls, now: float, lease: Lease) -> "_Held":
        if not lease.left:
            return cls(lease, None, None)
        return cls(lease, now + lease.left - lease.life / 3, now + lease.left)

    def is_due(self, now: float) -> bool:
        return self.due_at is not None and now >= self.due_at

    def later(self, now: float) -> "_Held":
        """Return the same token, due again when two thirds of what is left are over."""
        if self.ends_at is None or now >= self.ends_at:
            return _Held(self.lease, None, None)
        return _Held(self.lease, now + (self.ends_at - now) * 2 / 3, self.ends_at)


class Session:
    """Sends requests with a token that lives; safe to share between threads."""

    def __init__(self, settings: Settings, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.names = settings.names
        self._settings = settings
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._server: Server | None = None
        self._held: _Held | None = None

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        """Return the answer to one request; a token that is over is replaced, once.

        A 403 is returned where the token lives and lacks a right. Raises `RefusedError` where there
        is no answer, or no token.
        """
        server = self._connected()
        lease = self._lease(server)
        answer = server.send(method, path, body, token=lease.token)
        if answer.status != _DENIED:
            return answer
        if answer.is_foreign:
            raise refusal(answer, self.names)
        if _lives(server, lease, path):
            return answer
        lease = self._lease(server, instead_of=lease)
        answer = server.send(method, path, body, token=lease.token)
        if answer.status == _DENIED and not _lives(server, lease, path):
            login = self._settings.login
            raise RefusedError(
                StoreDeniedError,
                "the server does not know the Vault token (403), which has expired, was revoked, or"
                f" is bound to other addresses: {login.remedy(self.names)}",
            )
        return answer

    def _connected(self) -> "Server":
        with self._lock:
            if self._server is None:
                from backends.vault.connection import Server  # noqa: PLC0415 - the SDK, at last

                self._server = Server(self._settings)
            return self._server

    def _lease(self, server: "Server", instead_of: Lease | None = None) -> Lease:
        with self._lock:
            now = self._monotonic()
            if self._held is None or self._held.lease is instead_of:
                self._held = _Held.since(now, self._acquired(server))
            elif self._held.is_due(now):
                self._held = self._prolonged(server, self._held, now)
            return self._held.lease

    def _acquired(self, server: "Server") -> Lease:
        return self._settings.login.acquire(server.send, self.names)

    def _prolonged(self, server: "Server", held: _Held, now: float) -> _Held:
        login = self._settings.login
        try:
            if not login.renews:
                return _Held.since(now, self._acquired(server))
            if held.lease.renewable:
                return _Held.since(now, _renewed(server, held.lease, self.names))
        except RefusedError as error:
            _log.warning("the Vault token will be over soon: %s", error.sentence)
        return held.later(now)


def _renewed(server: "Server", lease: Lease, names: Names) -> Lease:
    """https://developer.hashicorp.com/vault/api-docs/auth/token#renew-a-token-self."""
    answer = server.send("POST", "auth/token/renew-self", {}, token=lease.token)
    if answer.status != _OK:
        raise RefusedError(
            StoreDeniedError,
            f"it is not renewed ({answer.status}): see its explicit_max_ttl and the default policy",
        )
    return lease_of(answer, names)


def _lives(server: "Server", lease: Lease, path: str) -> bool:
    """Tell whether a 403 is about a right and not about the token.

    The CLI asks this, too, to find a mount; every token may, whatever its policies are:
    https://developer.hashicorp.com/vault/api-docs/system/internal-ui-mounts
    """
    answer = server.send("GET", f"sys/internal/ui/mounts/{path}", token=lease.token)
    return answer.status != _DENIED or "preflight capability check" in answer.errors

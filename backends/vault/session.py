"""A login that many stores share, kept alive. Importing this module loads hvac."""

import logging
import math
import os
import threading
import time
from collections.abc import Callable
from functools import partial
from http import HTTPStatus

import hvac
import urllib3

from backends.vault.client import open_client
from backends.vault.failures import VaultAnswer, explain
from backends.vault.login import Lease
from backends.vault.settings import VaultSettings
from rotator.errors import StoreDeniedError, StoreError

_log = logging.getLogger(__name__)

# One session for each server and login of this process: a fleet of a thousand tokens logs in once.
# `open_store` gets no more than a URL, so there is no other place to share it.
_SESSIONS: dict[VaultSettings, "VaultSession"] = {}
# A forked child would use its parent's connections, or wait for a lock that nobody releases.
os.register_at_fork(after_in_child=_SESSIONS.clear)


def share_session(settings: VaultSettings) -> "VaultSession":
    return _SESSIONS.get(settings) or _SESSIONS.setdefault(settings, VaultSession(settings))


class VaultSession:
    """Sends requests with a live token; safe to share between threads.

    `monotonic` counts seconds.
    """

    def __init__(
        self, settings: VaultSettings, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._login = settings.login
        self._names = settings.names
        self._connect = partial(open_client, settings)
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._lease: Lease | None = None
        self._due_at = self._ends_at = math.inf  # of the lease, by `monotonic`
        if not settings.verify:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        if settings.is_plain:
            place = settings.names.spell(f"VAULT_ADDR is {settings.address}")
            _log.warning("%s: the network can read the tokens; use https", place)

    def call(self, request: Callable[[hvac.Client], VaultAnswer]) -> VaultAnswer:
        """Return the answer to one request, repeated once with a new token if the token is over.

        A 403 is returned if the token lives and lacks a right. Raises `StoreError` where there is
        no answer, or no token.
        """
        client = None
        for _ in range(2):
            client = self._live_client(instead_of=client)
            answer = request(client)
            if answer.status != HTTPStatus.FORBIDDEN:
                return answer
            if answer.is_foreign:
                raise explain(answer)
            if _is_live(client):
                return answer
        raise StoreDeniedError(
            "the server does not know the Vault token (403): it has expired, was revoked, or is"
            f" bound to other addresses: {self._login.remedy}"
        )

    def _live_client(self, instead_of: hvac.Client | None) -> hvac.Client:
        with self._lock:
            now = self._monotonic()
            if self._lease is None or self._lease.client is instead_of:
                self._lease = self._start(self._login.acquire(self._connect), now)
            elif now >= self._due_at:
                self._lease = self._extend(self._lease, now)
            return self._lease.client

    def _extend(self, lease: Lease, now: float) -> Lease:
        try:
            if not self._login.is_renewed:
                return self._start(self._login.acquire(self._connect), now)
            if lease.renewable:
                return self._start(_renew(lease.client), now)
        except StoreError as error:
            _log.warning("the Vault token ends soon: %s", self._names.spell(error))
        left = self._ends_at - now  # due again when two thirds of it are over
        self._due_at = now + left * 2 / 3 if left > 0 else math.inf
        return lease

    def _start(self, lease: Lease, now: float) -> Lease:
        self._ends_at = now + lease.left if lease.left else math.inf
        self._due_at = self._ends_at - lease.life / 3
        return lease


def _renew(client: hvac.Client) -> Lease:
    """https://developer.hashicorp.com/vault/api-docs/auth/token#renew-a-token-self."""
    answer = client.auth.token.renew_self()
    if answer.status != HTTPStatus.OK:
        raise StoreDeniedError(
            f"it is not renewed ({answer.status}): see its explicit_max_ttl and the default policy"
        )
    return Lease.parse(client, answer)


def _is_live(client: hvac.Client) -> bool:
    """Tell whether a 403 is about a right and not about the token.

    Every token may ask about a mount, as the CLI does; one that lacks rights is told so:
    https://developer.hashicorp.com/vault/api-docs/system/internal-ui-mounts
    """
    answer = client.read("sys/internal/ui/mounts/cubbyhole")
    return answer.status != HTTPStatus.FORBIDDEN or "preflight capability check" in answer.errors

"""A login that many stores share, kept alive, and hvac's client on bounded connections.

Importing this module loads hvac.
"""

# ruff: noqa: ANN401 - what hvac passes on

import logging
import math
import os
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import hvac
import hvac.adapters
import urllib3
from urllib3.util.ssl_ import create_urllib3_context

from backends.vault.failures import VaultAnswer, explain
from backends.vault.logins import Lease, is_live
from backends.vault.settings import VaultSettings
from rotator.errors import StoreDeniedError, StoreError, StoreUnreachableError
from rotator.files import require_ordinary
from rotator.http.client import BoundedSession, Limits
from rotator.http.failures import Failure, FailureKind, advise_on_certificate, explain_failure
from rotator.http.throttle import STORE_CONNECTIONS, Throttle

_LIMITS = Limits(backoff=0.05)
_FILES_TO_READ = (FailureKind.CERTIFICATE, FailureKind.TLS, FailureKind.FILE)
_log = logging.getLogger(__name__)

# One session for each server and login of this process: a fleet of a thousand tokens logs in once.
# `open_store` gets no more than a URL, so there is no other place to share it.
_SESSIONS: dict[tuple[VaultSettings, int], "VaultSession"] = {}
# A forked child would use its parent's connections, or wait for a lock that nobody releases.
os.register_at_fork(after_in_child=_SESSIONS.clear)


def share_session(settings: VaultSettings, connections: int) -> "VaultSession":
    """Return this process's session for a server and a login, with so many connections."""
    key = settings, connections
    if known := _SESSIONS.get(key):
        return known
    return _SESSIONS.setdefault(key, VaultSession(settings, connections=connections))


class VaultSession:
    """Sends requests with a live token; safe to share between threads.

    `monotonic` counts seconds.
    """

    def __init__(
        self,
        settings: VaultSettings,
        monotonic: Callable[[], float] = time.monotonic,
        *,
        connections: int = STORE_CONNECTIONS,
    ) -> None:
        self._login = settings.login
        self._names = settings.names
        self._connect = partial(open_client, settings, throttle=Throttle(connections))
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._lease: Lease | None = None
        self._failure: StoreError | None = None  # of the last login
        self._failed_at = 0.0
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
            # Of a token whose last use this is, the rights cannot be asked: "invalid token".
            is_bad = answer.status == HTTPStatus.BAD_REQUEST
            is_used_up = is_bad and "invalid token" in answer.errors
            if answer.status != HTTPStatus.FORBIDDEN and not is_used_up:
                return answer
            if answer.is_foreign:
                raise explain(answer)
            if not is_used_up and is_live(client):
                return answer
        if self._lease and (uses := self._lease.uses):
            requests = "1 request" if uses == 1 else f"{uses} requests"
            raise StoreDeniedError(
                f"the Vault token is used up: it serves {requests}, and"
                " a rotation needs 20: set token_num_uses of the role, or num_uses of the token, to"
                " 0"
            )
        raise StoreDeniedError(
            "the server does not know the Vault token (403): it has expired, was revoked, or is"
            f" bound to other addresses: {self._login.remedy}"
        )

    def _live_client(self, instead_of: hvac.Client | None) -> hvac.Client:
        asked_at = self._monotonic()
        with self._lock:
            now = self._monotonic()
            if self._lease is None or self._lease.client is instead_of:
                if self._failure and self._failed_at > asked_at:
                    # Of the one that was waited for. Otherwise those of many stores would add up,
                    # each as long as a server takes that does not answer.
                    raise type(self._failure)(str(self._failure))
                try:
                    self._lease = self._start(self._login.acquire(self._connect), now)
                except StoreError as error:
                    self._failure, self._failed_at = error, self._monotonic()
                    raise
                self._failure = None
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


def open_client(
    settings: VaultSettings, token: str, throttle: Throttle | None = None
) -> hvac.Client:
    """Return a client that sends this token; it is safe to share between threads.

    Its calls return a `VaultAnswer`, or raise `StoreUnreachableError` where there is none. When a
    connection breaks, only reads are repeated, and what was never sent.
    """
    adapter = partial(_Adapter, settings, throttle)
    return hvac.Client(settings.address, token, namespace=settings.namespace, adapter=adapter)


class _Adapter(hvac.adapters.RawAdapter):  # type: ignore[misc] # hvac has no types
    def __init__(self, settings: VaultSettings, throttle: Throttle | None, **options: Any) -> None:
        super().__init__(**options)
        self._settings = settings
        self._throttle = throttle
        # hvac would use VAULT_CACERT and so on, as they were when it was imported.
        self._kwargs = {"verify": settings.verify, "cert": settings.client_cert}
        self._is_connected = False

    def request(self, *args: Any, **options: Any) -> VaultAnswer:
        """Return the answer, whatever its status: hvac's errors repeat the server's text."""
        if not self._is_connected:
            tls = _trust_authorities(self._settings)
            self.session = BoundedSession(_LIMITS, tls=tls, throttle=self._throttle)
            self._is_connected = True
        try:
            response = super().request(*args, **options, raise_exception=False)
        except OSError as error:
            failure = explain_failure(error)
            if failure.kind in _FILES_TO_READ:
                self._is_connected = False  # read the files again, which may be corrected by then
            raise StoreUnreachableError(_describe(failure, self._settings)) from None
        return VaultAnswer.parse(response.status_code, response.content)


def _describe(failure: Failure, settings: VaultSettings) -> str:
    address = settings.address
    where = address + (", the default: set VAULT_ADDR" if settings.is_default else " (VAULT_ADDR)")
    remedy = advise_on_certificate(failure.certificate) or (
        "set VAULT_CACERT to the file of its CA, and use the name that it is made for"
    )
    known = {
        FailureKind.CERTIFICATE: f"the certificate of {address} is not trusted ({failure.detail}):"
        f" {remedy}",
        FailureKind.WANTS_TLS: f"the server speaks TLS at {address}: begin VAULT_ADDR with https://",
        FailureKind.NO_TLS: f"there is no TLS at {address}: begin VAULT_ADDR with http:// or"
        " correct it",
        FailureKind.TLS: f"TLS with {address} failed: see its TLS versions, and whether it wants a"
        " client certificate (VAULT_CLIENT_CERT, VAULT_CLIENT_KEY)",
        FailureKind.FILE: f"a certificate file cannot be used ({failure.detail}): see"
        " VAULT_CLIENT_CERT, VAULT_CLIENT_KEY"
        " and REQUESTS_CA_BUNDLE",
        FailureKind.BAD_PROXY: f"the proxy cannot be used: {failure.detail}; correct it, or set"
        " NO_PROXY",
        FailureKind.PROXY: f"the proxy does not let us through to {where}: see HTTPS_PROXY and"
        " NO_PROXY",
        FailureKind.UNKNOWN_HOST: f"the host is not known at {where}",
        FailureKind.REFUSED: f"nothing listens at {where}",
        FailureKind.TIMEOUT: f"no answer in time from {where}",
        FailureKind.TOO_LARGE: f"no answer of Vault is as long as that of {where}",
    }
    return known.get(failure.kind, f"the connection failed or broke off at {where}")


def _trust_authorities(settings: VaultSettings) -> ssl.SSLContext | None:
    """Return what trusts the authorities that are set and no others; None if none are.

    As the commands do, take the certificates in every file of a folder and of those below it
    (https://github.com/hashicorp/go-rootcerts), where OpenSSL takes files named by a hash only; and
    trust an authority without the one that has signed it.
    """
    if not settings.authorities or not settings.verify:
        return None
    variable, path = settings.authorities
    context = create_urllib3_context()
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    file = path
    try:
        require_ordinary(path)
        if variable == "VAULT_CACERT" and path.is_dir():
            raise _unusable(
                path, variable, "is a folder", "name a file, or set VAULT_CAPATH instead"
            )
        for file in _files_in(path):
            with suppress(ssl.SSLError):  # keys and texts may lie beside the certificates
                context.load_verify_locations(file)
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
        raise _unusable(error.filename or file, variable, reason) from None
    if not context.cert_store_stats()["x509"]:
        raise _unusable(path, variable, "holds no certificate in PEM")
    return context


def _files_in(path: Path) -> list[Path]:
    def fail(error: OSError) -> None:
        raise error

    if path.is_file():
        return [path]
    walk = os.walk(path, onerror=fail)
    files = [Path(folder, name) for folder, _, names in walk for name in names]
    return [each for each in files if each.is_file()]


def _unusable(
    path: Path, variable: str, what: str, remedy: str = "correct it, to name the CA of the server"
) -> StoreUnreachableError:
    return StoreUnreachableError(f"{path} ({variable}) {what}: {remedy}")

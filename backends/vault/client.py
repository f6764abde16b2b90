"""hvac's client on bounded connections, and the certificate authorities that it trusts."""

# ruff: noqa: ANN401 - what hvac passes on

import os
import ssl
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import hvac
import hvac.adapters
from urllib3.util.ssl_ import create_urllib3_context

from backends.vault.failures import VaultAnswer
from backends.vault.settings import VaultSettings
from rotator.errors import StoreUnreachableError
from rotator.http.client import BoundedSession, Failure, FailureKind, Limits, explain_failure

_LIMITS = Limits(backoff=0.05)


def open_client(settings: VaultSettings, token: str) -> hvac.Client:
    """Return a client that sends this token; it is safe to share between threads.

    Its calls return a `VaultAnswer`, or raise `StoreUnreachableError` where there is none. When a
    connection breaks, only reads are repeated, and what was never sent.
    """
    adapter = partial(_Adapter, settings)
    return hvac.Client(settings.address, token, namespace=settings.namespace, adapter=adapter)


class _Adapter(hvac.adapters.RawAdapter):  # type: ignore[misc] # hvac has no types
    def __init__(self, settings: VaultSettings, **options: Any) -> None:
        super().__init__(**options)
        self._settings = settings
        # hvac would use VAULT_CACERT and so on, as they were when it was imported.
        self._kwargs = {"verify": settings.verify, "cert": settings.client_cert}
        self._is_connected = False

    def request(self, *args: Any, **options: Any) -> VaultAnswer:
        """Return the answer, whatever its status: hvac's errors repeat the server's text."""
        if not self._is_connected:
            self.session = BoundedSession(_LIMITS, tls=_trust_authorities(self._settings))
            self._is_connected = True
        try:
            response = super().request(*args, **options, raise_exception=False)
        except OSError as error:
            failure = explain_failure(error)
            if failure.kind in (FailureKind.CERTIFICATE, FailureKind.TLS):
                self._is_connected = False  # read the files again, which may be corrected by then
            raise StoreUnreachableError(_describe(failure, self._settings)) from None
        return VaultAnswer.parse(response.status_code, response.content)


def _describe(failure: Failure, settings: VaultSettings) -> str:
    address = settings.address
    where = address + (", the default: set VAULT_ADDR" if settings.is_default else " (VAULT_ADDR)")
    known = {
        FailureKind.CERTIFICATE: f"the certificate of {address} is not trusted ({failure.detail}):"
        " set VAULT_CACERT to the file of its CA, and use the name that it is made for",
        FailureKind.NO_TLS: f"there is no TLS at {address}: begin VAULT_ADDR with http:// or"
        " correct it",
        FailureKind.TLS: f"TLS with {address} failed: see its TLS versions, and whether it wants a"
        " client certificate (VAULT_CLIENT_CERT, VAULT_CLIENT_KEY)",
        FailureKind.FILE: "a certificate file is not there: see VAULT_CLIENT_CERT, VAULT_CLIENT_KEY"
        " and REQUESTS_CA_BUNDLE",
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
    if variable == "VAULT_CACERT" and path.is_dir():
        raise _unusable(path, variable, "is a folder", "name a file, or set VAULT_CAPATH instead")
    context = create_urllib3_context()
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    file = path
    try:
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

"""The certificate authorities of VAULT_CACERT and VAULT_CAPATH, as the commands read them.

They take the certificates in every file of a folder and of those below it
(https://github.com/hashicorp/go-rootcerts); OpenSSL looks only for files that are named by a hash.
"""

import os
import ssl
from pathlib import Path
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.util.ssl_ import create_urllib3_context

from backends._vault.names import Names
from backends.vault.failures import RefusedError
from backends.vault.settings import Settings
from rotator.errors import StoreUnreachableError


def trusted(settings: Settings) -> ssl.SSLContext | None:
    """Return what trusts the authorities that are set and no others; None where none are."""
    file, folder, names = settings.ca_file, settings.ca_folder, settings.names
    if not settings.verify or not (file or folder):
        return None
    context = create_urllib3_context()
    # As the commands do: an authority may be trusted without the one that has signed it.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if file:
        _load_file(context, Path(file), names)
    elif folder:
        _load_folder(context, Path(folder), names("CAPATH"))
    return context


class Trusting(HTTPAdapter):
    """Trusts by this context alone: requests would add its own authorities to it."""

    def __init__(self, context: ssl.SSLContext, **options: Any) -> None:  # noqa: ANN401 - requests'
        self._context = context
        super().__init__(**options)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:  # noqa: ANN401
        super().init_poolmanager(*args, **options, ssl_context=self._context)

    def proxy_manager_for(self, proxy: Any, **options: Any) -> Any:  # noqa: ANN401
        return super().proxy_manager_for(proxy, **options, ssl_context=self._context)

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:  # noqa: ANN401
        # What is left of it is the client certificate.
        del verify
        super().cert_verify(conn, url, verify=False, cert=cert)  # type: ignore[no-untyped-call]
        conn.cert_reqs = "CERT_REQUIRED"


def _load_file(context: ssl.SSLContext, path: Path, names: Names) -> None:
    variable = names("CACERT")
    if path.is_dir():
        remedy = f"name a file, or set {names('CAPATH')} instead"
        raise _wrong(path, variable, "is a folder", remedy)
    try:
        context.load_verify_locations(path)
    except ssl.SSLError:
        raise _wrong(path, variable, "holds no certificate in PEM") from None
    except OSError as error:
        raise _unreadable(error, path, variable) from None


def _load_folder(context: ssl.SSLContext, path: Path, variable: str) -> None:
    try:
        for file in _files(path):
            _load_some(context, file)
    except OSError as error:
        raise _unreadable(error, Path(error.filename or path), variable) from None
    if not context.cert_store_stats()["x509"]:
        raise _wrong(path, variable, "holds no certificate in PEM")


def _load_some(context: ssl.SSLContext, file: Path) -> None:
    """Load what is a certificate; keys and texts may lie beside it."""
    try:
        context.load_verify_locations(file)
    except ssl.SSLError:
        return
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(file)) from None


def _files(path: Path) -> list[Path]:
    if path.is_file():  # the commands walk over it like over a folder
        return [path]
    found = [
        Path(folder, name) for folder, _, names in os.walk(path, onerror=_fail) for name in names
    ]
    return [each for each in found if each.is_file()]


def _fail(error: OSError) -> None:
    raise error


def _unreadable(error: OSError, path: Path, variable: str) -> RefusedError:
    return _wrong(path, variable, f"cannot be read ({error.strerror})")


def _wrong(path: Path, variable: str, what: str, remedy: str = "") -> RefusedError:
    remedy = remedy or "correct it, so that it names the CA of the server"
    return RefusedError(StoreUnreachableError, f"{path} ({variable}) {what}: {remedy}")

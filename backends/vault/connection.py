"""The certificate authorities of VAULT_CACERT and VAULT_CAPATH, as the commands read them.

They take the certificates in every file of a folder and of those below it
(https://github.com/hashicorp/go-rootcerts); OpenSSL looks only for files that are named by a hash.
"""

import json
import logging
import os
import socket
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any

import hvac.adapters
import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.util import Retry
from urllib3.util.ssl_ import create_urllib3_context

from backends.vault.failures import Answer, Names, RefusedError, as_object
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
        """Hand over our context."""
        super().init_poolmanager(*args, **options, ssl_context=self._context)

    def proxy_manager_for(self, proxy: Any, **options: Any) -> Any:  # noqa: ANN401
        """Hand over our context."""
        return super().proxy_manager_for(proxy, **options, ssl_context=self._context)

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:  # noqa: ANN401
        """Keep our context's authorities, and take the client certificate."""
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


def no_answer(error: Exception, settings: Settings) -> RefusedError:
    """Return what a failed connection stands for."""
    return RefusedError(StoreUnreachableError, _broken(_causes(error), settings))


def _broken(  # noqa: PLR0911 - a table: one line per cause
    causes: Iterable[BaseException], settings: Settings
) -> str:
    address, names = settings.address, settings.names
    addr = names("ADDR")
    where = f"{address}, the default: set {addr}" if settings.is_default else f"{address} ({addr})"
    for cause in causes:
        match cause:
            case ssl.SSLCertVerificationError():
                return (
                    f"the certificate of {address} is not trusted ({cause.verify_message}): set"
                    f" {names('CACERT')} to the file of its CA, and use the name that it is made"
                    " for"
                )
            case ssl.SSLError(reason="WRONG_VERSION_NUMBER" | "RECORD_LAYER_FAILURE"):
                return f"there is no TLS at {address}: begin {addr} with http:// or correct it"
            case ssl.SSLError():
                return (
                    f"TLS with {address} failed: see its TLS versions, and whether it wants a"
                    f" client certificate ({names('CLIENT_CERT')}, {names('CLIENT_KEY')})"
                )
            case ConnectionRefusedError():
                return f"nothing listens at {where}"
            case socket.gaierror():
                return f"the host is not known at {where}"
            case TimeoutError():
                return f"no answer in time from {where}"
    return f"the connection failed or broke off at {where}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    waiting, seen = [error], set[int]()
    while waiting:
        cause = waiting.pop(0)
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        inner = (*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__)
        waiting += [each for each in inner if isinstance(each, BaseException)]


_CONNECT, _READ = 5.0, 15.0  # seconds; the second also for a whole body
_LARGEST = 4 << 20  # bytes; a secret has at most 1 MiB in the integrated storage
_CHUNK = 1 << 16
_MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}
_CHATTY = ("urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry")
_log = logging.getLogger(__name__)


class Server:
    """Sends requests to the server that the settings name; safe to share between threads.

    Only reads are repeated when a connection breaks, and whatever was never sent.
    Raises `RefusedError` where there is no answer.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._adapter: hvac.adapters.RawAdapter | None = None
        if settings.verify is False:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        if settings.is_open:
            _log.warning(
                "%s is %s: the network can read the tokens; use https",
                settings.names("ADDR"),
                settings.address,
            )

    def send(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, token: str = ""
    ) -> Answer:
        """Return the answer to one request below `/v1/`; `path` is quoted already."""
        headers = dict(_MERGE_PATCH) if method == "PATCH" else {}
        if token:
            headers["X-Vault-Token"] = token
        adapter = self._adapter = self._adapter or _adapter(self._settings)
        try:
            with adapter.request(
                method, f"/v1/{path}", headers, raise_exception=False, json=body, stream=True
            ) as response:
                return _answer(response.status_code, _bounded(response.raw, self._settings))
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            if isinstance(error, requests.exceptions.SSLError):
                self._adapter = None  # somebody may correct the files that it has read
            # Without its cause: the text of these errors can repeat what was received.
            raise no_answer(error, self._settings) from None
        except OSError:  # requests raises it for this one reason
            names = self._settings.names
            raise RefusedError(
                StoreUnreachableError,
                f"a certificate file is not there: see {names('CLIENT_CERT')},"
                f" {names('CLIENT_KEY')} and REQUESTS_CA_BUNDLE",
            ) from None


def _adapter(settings: Settings) -> hvac.adapters.RawAdapter:
    # hvac's own calls cannot patch metadata, and repeat the server's text in their errors.
    return hvac.adapters.RawAdapter(
        base_uri=settings.address,
        namespace=settings.namespace,
        verify=settings.verify,
        timeout=(_CONNECT, _READ),
        allow_redirects=False,
        session=_session(settings),
    )


class _Session(requests.Session):
    """Follows no redirect; requests would at least read such an answer, however long it is."""

    is_local = False

    def get_redirect_target(self, resp: requests.Response) -> None:
        del resp

    def merge_environment_settings(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - requests'
        settings = super().merge_environment_settings(*args, **options)
        # A proxy would read on its way back what is meant for an agent on this machine.
        return settings | {"proxies": {}} if self.is_local else settings


def _session(settings: Settings) -> requests.Session:
    for name in _CHATTY:
        logging.getLogger(name).addFilter(_tell_less)
    session = _Session()
    session.is_local = settings.is_local
    # hvac prefers what is set here to what it is told.
    session.verify, session.cert = settings.verify, settings.client_cert
    session.auth = _no_credentials
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    retry = Retry(
        total=2,
        other=0,
        allowed_methods=("GET",),
        respect_retry_after_header=False,
        backoff_factor=0.05,
    )
    session.mount("http://", HTTPAdapter(max_retries=retry))
    context = trusted(settings)
    secured = Trusting(context, max_retries=retry) if context else HTTPAdapter(max_retries=retry)
    session.mount("https://", secured)
    return session


def _no_credentials(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keep requests from sending what stands in `~/.netrc`."""
    return request


def _tell_less(record: logging.LogRecord) -> bool:
    """Keep the texts of errors out of urllib3's log lines: they repeat what was received."""
    args = record.args if isinstance(record.args, tuple) else ()
    record.args = tuple(type(a).__name__ if isinstance(a, Exception) else a for a in args)
    record.exc_info = None
    return True


def _answer(status: int, content: bytes) -> Answer:
    try:
        body = as_object(json.loads(content))
    except (ValueError, RecursionError):
        return Answer(status, {}, content[:200].decode("ascii", "replace").lower())
    errors = body.get("errors")
    return Answer(status, body, str(errors).lower() if errors else "")


def _bounded(raw: urllib3.HTTPResponse, settings: Settings) -> bytes:
    deadline = time.monotonic() + _READ
    content = bytearray()
    while chunk := raw.read1(_CHUNK, decode_content=True):
        content += chunk
        if len(content) > _LARGEST or time.monotonic() > deadline:
            raise RefusedError(
                StoreUnreachableError,
                f"the answer is longer than {_LARGEST} B or takes over {_READ:g} s: see"
                f" {settings.names('ADDR')}",
            )
    return bytes(content)

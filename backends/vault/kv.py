"""HTTP to one server: bounded in time, size and repetition, without redirects."""

import json
import logging
import time
from collections.abc import Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import hvac.adapters
import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from backends._vault.answer import Answer, as_object
from backends._vault.connection import no_answer
from backends._vault.trust import Trusting, trusted
from backends.vault.failures import RefusedError
from backends.vault.settings import Settings
from rotator.errors import StoreUnreachableError

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

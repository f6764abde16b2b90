"""HTTP with bounds, for the API, the Pushgateway, and stores, also those of third parties.

A `BoundedSession` is a `requests.Session`. Everything that goes wrong is an `OSError`, whose text
may hold a URL or what a server sent: show what `explain_failure` of `rotator.http.failures` says.

    session = BoundedSession(Limits(retries=0))
    try:
        response = session.get("https://store.example.com/secret")
    except OSError as error:
        failure = explain_failure(error)  # failure.kind is FailureKind.REFUSED, say
"""

# ruff: noqa: ANN401 - JSON from outside, and what overridden methods of requests pass on

import io
import json
import logging
import os
import ssl
from collections.abc import Collection
from contextlib import ExitStack, nullcontext
from http.cookiejar import DefaultCookiePolicy
from importlib.util import find_spec
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import select_proxy
from urllib3.util import Retry

from rotator.files import require_ordinary
from rotator.http.deadlines import (
    bound_pool,
    exchange_within,
    is_bounded,
    is_over,
    on_new_connections,
    seconds_left,
)
from rotator.http.failures import AnswerTooLargeError, UnusableProxyError
from rotator.http.throttle import Throttle
from rotator.http.urls import is_loopback


class Limits(NamedTuple):
    """How long, how often and how much; times are in seconds, sizes in bytes.

    `connect` counts for each address of a host and for the TLS handshake, `read` for silence,
    `total` for everything: the look-up of the host, retries, the pauses between them and the body.
    `largest` is the unpacked body of an answer.
    """

    connect: float = 5.0
    read: float = 15.0
    total: float = 60.0
    retries: int = 2
    backoff: float = 0.2
    longest_pause: float = 15.0  # whatever Retry-After asks for
    largest: int = 4 << 20


_USUAL = Limits()
_SMALL = 1 << 20  # bytes of JSON
_NO_METHOD = ("TRACE",)  # to urllib3 an empty list means every method
_CONNECTIONS = 32
_BUSY = (429, 503)
_PROXY_SCHEMES = ("http", "https", "socks5", "socks5h", "socks4", "socks4a")
_LOGGERS = ("urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry")


class BoundedSession(requests.Session):
    """Sends requests to one server or a few; safe to share between threads.

    It follows no redirect, keeps no cookie, and sends no login of `~/.netrc` unless `auth` is set
    to None. The environment's proxies and CA bundle are looked up once for each server; its proxies
    are not used for this machine, as they could read what we send.

    What was never sent is tried again, whatever its method. A request that broke later, or was
    answered by one of `retried_statuses`, is repeated only if its method is in `retried_methods`.
    `tls` alone decides which servers are trusted, whatever `verify` and the environment say;
    `server_name` is the name in the server's certificate where the URL has another.

    Without `stream=True` up to `limits.largest` bytes of a body are read. With it, use `read_body`
    or `read_json`, and a `with` statement.

    With a `throttle`, which sessions may share, there are never more connections than it lets
    exchanges go on, and a server that asks for a pause gets it from all of them.
    """

    def __init__(  # noqa: PLR0913 - each by its name
        self,
        limits: Limits = _USUAL,
        *,
        retried_methods: Collection[str] = ("GET",),
        retried_statuses: Collection[int] = (),
        tls: ssl.SSLContext | None = None,
        server_name: str | None = None,
        throttle: Throttle | None = None,
    ) -> None:
        super().__init__()
        self.limits = limits
        self._throttle = throttle
        self.auth = lambda request: request  # without any, requests would look into ~/.netrc
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._environment: dict[tuple[str, str], dict[str, Any]] = {}
        retry = _Retry(
            total=limits.retries,
            other=0,  # these may come after the request was sent, whatever its method
            allowed_methods=retried_methods or _NO_METHOD,
            status_forcelist=retried_statuses,
            raise_on_status=False,
            backoff_factor=limits.backoff,
            backoff_jitter=limits.backoff,
            backoff_max=limits.longest_pause,
            respect_retry_after_header=bool(retried_statuses),
            retry_after_max=limits.longest_pause,  # type: ignore[arg-type] # it is only compared
        )
        self._adapter = _BoundedAdapter(limits.total, retry, tls, server_name, throttle)
        self._mount(self._adapter)
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(_redact)

    def _mount(self, adapter: HTTPAdapter) -> None:
        self.mount("http://", adapter)
        self.mount("https://", adapter)

    def once(self) -> "BoundedSession":
        """Return a session over the same connections that sends what may be sent only once.

        A server may drop a used connection at the very moment of the next request, and nobody could
        tell whether it did it. So each request opens a new one in the place of one that is kept,
        and is repeated only if it was never sent.
        """
        session = BoundedSession(self.limits, retried_methods=(), throttle=self._throttle)
        session._environment = self._environment
        session._mount(self._adapter.once(session._adapter.max_retries))
        return session

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """Return a request with the session's headers and its `auth`.

        To merge parameters, cookies and hooks takes a tenth of the time of an exchange, so that is
        done only where there are some. With `auth` None requests looks into ~/.netrc.
        """
        has_more = self.params or self.cookies or request.cookies or any(self.hooks.values())
        if has_more or self.auth is None:
            return super().prepare_request(request)
        headers: CaseInsensitiveDict[Any] = CaseInsensitiveDict(self.headers)
        headers.update(request.headers or {})
        prepared = requests.PreparedRequest()
        prepared.prepare(
            method=(request.method or "").upper(),
            url=request.url,
            headers={name: value for name, value in headers.items() if value is not None},
            files=request.files,
            data=request.data,
            json=request.json,
            params=request.params,
            auth=request.auth or self.auth,
            hooks=request.hooks,
        )
        return prepared

    def merge_environment_settings(
        self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> Any:
        """Return the options of a request; what is not given is that of the session."""
        parts = urlsplit(url)
        place = parts.scheme, parts.netloc
        if place not in self._environment:
            found = dict(super().merge_environment_settings(url, {}, None, None, None))
            if is_loopback(parts.hostname):
                found["proxies"] = self.proxies
            self._environment[place] = found
        verify = None if verify is True else verify  # as in requests: it is the default
        given = {"proxies": proxies or None, "stream": stream, "verify": verify, "cert": cert}
        return self._environment[place] | {k: v for k, v in given.items() if v is not None}

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send a request; raises `OSError`, mostly a `requests.RequestException`."""
        options = self.merge_environment_settings(request.url, {}, None, None, None) | options
        if options.get("timeout") is None:
            options["timeout"] = (self.limits.connect, self.limits.read)
        _check_proxy(request.url or "", options.get("proxies"))
        return self._send_in_turn(request, options)

    def _send_in_turn(
        self, request: requests.PreparedRequest, options: dict[str, Any]
    ) -> requests.Response:
        with ExitStack() as turn:
            if self._throttle:
                try:
                    turn.enter_context(self._throttle.exchange())
                except TimeoutError as error:
                    late = urllib3.exceptions.ConnectTimeoutError(str(error))
                    raise requests.ConnectionError(late, request=request) from None
            response = super().send(request, **(options | {"stream": True}))
            turn.callback(response.close)
            if not options["stream"]:
                body = read_body(response, self.limits.largest)
                turn.close()
                response.raw = io.BytesIO(body)
                return response
            # The turn ends with the response, in whoever's hands it is.
            response.close = turn.pop_all().close  # type: ignore[method-assign] # of this one alone
        return response

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Follow no redirect; requests would even read such an answer, however long it is."""
        del resp


def _check_proxy(url: str, proxies: Any) -> None:
    """Raise `UnusableProxyError` for what requests and urllib3 would fail over in many ways."""
    proxy = select_proxy(url, proxies)
    if not proxy:
        return
    scheme = urlsplit(url).scheme
    variables = (f"{scheme}_proxy", f"{scheme}_proxy".upper(), "all_proxy", "ALL_PROXY")
    named = (name for name in variables if os.environ.get(name) == proxy)
    name = next(named, "the proxy's address")
    try:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        is_usable = bool(parts.hostname) and parts.port != 0 and proxy.isprintable()
    except ValueError:
        is_usable = False
    if not is_usable or ("://" not in proxy and "@" in proxy) or " " in proxy:
        raise UnusableProxyError(f"{name} is no URL of a proxy, such as http://HOST:PORT")
    if parts.scheme not in _PROXY_SCHEMES:
        known = ", ".join(_PROXY_SCHEMES)
        raise UnusableProxyError(f"{name} begins with none of {known}")
    if parts.scheme.startswith("socks") and find_spec("socks") is None:
        raise UnusableProxyError(f"{name} names a SOCKS proxy, which needs pip install PySocks")


def read_body(response: requests.Response, largest: int) -> bytes:
    """Read the body of a `stream=True` response, at most `largest` bytes (unpacked).

    Raises `requests.RequestException`.
    """
    return bytes(_collect_body(response, largest))


def _collect_body(response: requests.Response, largest: int) -> bytearray:
    body = bytearray()
    try:
        while chunk := response.raw.read1(largest, decode_content=True):
            body += chunk
            if len(body) > largest:
                raise AnswerTooLargeError(request=response.request)
    except urllib3.exceptions.HTTPError as error:
        raise requests.ConnectionError(error, request=response.request) from None
    return body


def read_json(response: requests.Response, largest: int) -> Any:
    """Read the body like `read_body` and parse it; raises `requests.RequestException`.

    The parsed body takes up to 25 times the memory of its text. So a large one with hardly anything
    in it but empty lists and the like, which no server means, counts as too large.
    """
    body = _collect_body(response, largest)
    if len(body) > _SMALL and sum(map(body.count, (b",", b"[", b"{"))) > len(body) // 12:
        raise AnswerTooLargeError(request=response.request)
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise requests.exceptions.InvalidJSONError(request=response.request) from None


def _redact(record: logging.LogRecord) -> bool:
    """Remove what may hold a secret from urllib3's log lines about our exchanges.

    That is a query, and the text of an error, which repeats what was received. Warnings are
    dropped: an exchange that fails in the end raises an error.
    """
    if not is_bounded():  # of others: most lines of urllib3 name no server
        return True
    if record.levelno >= logging.WARNING:
        return False
    args = record.args if isinstance(record.args, tuple) else ()
    record.args = tuple(type(a).__name__ if isinstance(a, Exception) else a for a in args)
    record.msg, record.args = record.getMessage().split("?", 1)[0], ()
    record.exc_info = None
    return True


class _BoundedAdapter(HTTPAdapter):
    """Sets the deadline of an exchange, and takes its TLS settings from `tls` if there is one."""

    def __init__(
        self,
        total: float,
        retry: "_Retry",
        tls: ssl.SSLContext | None,
        server_name: str | None,
        throttle: Throttle | None,
    ) -> None:
        self._total = total
        self._tls = tls
        self._server_name = server_name
        self._throttle = throttle
        self._is_once = False
        super().__init__(pool_maxsize=throttle.most if throttle else _CONNECTIONS)
        self.max_retries: _Retry = retry
        retry.throttle = throttle

    def once(self, retry: "_Retry") -> "_BoundedAdapter":
        """Return an adapter with the same connections, of which it opens each anew."""
        adapter = _BoundedAdapter(self._total, retry, self._tls, self._server_name, self._throttle)
        adapter.poolmanager = self.poolmanager
        adapter.proxy_manager = self.proxy_manager
        adapter._is_once = True
        return adapter

    def send(self, *args: Any, **options: Any) -> requests.Response:
        try:
            with (
                exchange_within(self._total),
                on_new_connections() if self._is_once else nullcontext(),
            ):
                response = super().send(*args, **options)
        except urllib3.exceptions.HTTPError as error:  # requests lets a few through
            raise requests.ConnectionError(error) from None
        if self._throttle and response.status_code in _BUSY:
            asked = response.headers.get("Retry-After")
            self._throttle.pause(self.max_retries.parse_retry_after(asked) if asked else 0.0)
        return response

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **options)
        bound_pool(pool)
        return pool

    def build_connection_pool_key_attributes(self, *args: Any, **options: Any) -> Any:
        host, usual = super().build_connection_pool_key_attributes(*args, **options)
        settings: dict[str, Any] = {**usual}
        if self._tls:
            # Of the usual settings, the client certificate remains.
            settings = {k: v for k, v in usual.items() if k in ("cert_file", "key_file")}
            settings |= {"ssl_context": self._tls, "cert_reqs": self._tls.verify_mode}
        if self._server_name:
            settings["server_hostname"] = self._server_name
        return host, settings

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        verify = False if self._tls else verify
        # OpenSSL would wait for a pipe.
        for path in (verify, *(cert if isinstance(cert, tuple) else (cert,))):
            if isinstance(path, str) and url.lower().startswith("https"):
                require_ordinary(path)
        super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]
        if self._tls:
            conn.cert_reqs = self._tls.verify_mode


class _Retry(Retry):
    """Retries until the deadline; trusts neither the length nor the `Retry-After` of an answer.

    What it waits for a busy server, the others who share its throttle wait as well.
    """

    throttle: Throttle | None = None

    def new(self, **changes: Any) -> Self:
        retry = super().new(**changes)
        retry.throttle = self.throttle
        return retry

    def sleep(self, response: urllib3.BaseHTTPResponse | None = None) -> None:
        if self.throttle and response is not None and response.status in _BUSY:
            self.throttle.pause(self.get_retry_after(response) or self.get_backoff_time())
        super().sleep(response)

    def increment(self, *args: Any, **kwargs: Any) -> Self:
        if response := kwargs.get("response"):
            response.close()  # urllib3 would read it to its end, which may never come
        return super(_Retry, self.new(total=0) if is_over() else self).increment(*args, **kwargs)

    def get_backoff_time(self) -> float:
        return seconds_left(super().get_backoff_time()) or 0.0

    def parse_retry_after(self, retry_after: str) -> float:
        try:
            return seconds_left(super().parse_retry_after(retry_after)) or 0.0
        except (urllib3.exceptions.InvalidHeader, ValueError, OverflowError):
            return 0.0

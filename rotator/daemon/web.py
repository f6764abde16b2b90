"""The status page's HTTP server: `/`, `/api/v1/status`, `/healthz`, `/readyz` and `/metrics`.

This is the standard library's server with limits. waitress has no such limits: when its connections
are used up, a probe waits until one of them ends; a client that pipelines requests and reads
nothing is never cut off; and an application cannot close a connection that it refuses.
"""

import gzip
import json
import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from errno import EACCES, EADDRINUSE, EADDRNOTAVAIL
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from importlib.util import find_spec
from socketserver import ThreadingTCPServer
from typing import Any, NamedTuple

from rotator.clock import Clock
from rotator.daemon.health import Health, ProbeResult
from rotator.daemon.paging import BusyError, Pacer, View, cut_page
from rotator.daemon.rows import FleetStatus, build_rows
from rotator.daemon.views import StatusPage
from rotator.errors import ConfigError, internal_error
from rotator.http.urls import is_loopback
from rotator.rotation.states import TokenStates

LOOPBACK = "127.0.0.1"
MOST_CONNECTIONS = 64
PATIENCE = 30.0  # seconds for a request and its response, however slowly the bytes come
_HIGHEST_PORT = 65535
_ADDRESS = re.compile(r"(?:(?:\[([0-9A-Fa-f:.%\w]+)\]|([\w.-]+)):)?([0-9]{1,5})", re.ASCII)
_HOST = re.compile(r"(?:\[([^\]]+)\]|([^:\[\]]+))(?::[0-9]*)?")  # RFC 9112, section 3.2
_BIND_ERRORS = {
    EADDRINUSE: "another program listens there: choose another port, or end that one",
    EADDRNOTAVAIL: "this machine has no such address",
    EACCES: "this user may not listen there: choose a port above 1023",
}
_log = logging.getLogger(__name__)


class ListenAddress(NamedTuple):
    """A host (IPv6 without brackets) and a port; port 0 is any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_address(text: str) -> ListenAddress:
    """Read `[HOST:]PORT`, where HOST is loopback by default; raises `ValueError` for anything else.

    `:9464`, which elsewhere means every interface, is refused: that has to be said.
    """
    match = _ADDRESS.fullmatch(text)
    if not match or int(match[3]) > _HIGHEST_PORT:
        expected = "[HOST:]PORT, such as 9464, 0.0.0.0:9464 or [::1]:9464"
        raise ValueError(f"found {text!r}, expected {expected}")
    return ListenAddress(match[1] or match[2] or LOOPBACK, int(match[3]))


class PageResponse(NamedTuple):
    """A response, also compressed where that pays; `policy` is its Content-Security-Policy."""

    status: HTTPStatus
    content_type: str
    body: bytes
    gzipped: bytes | None = None
    policy: str = "default-src 'none'; frame-ancestors 'none'"


def text_response(status: HTTPStatus, line: str) -> PageResponse:
    return PageResponse(status, "text/plain; charset=utf-8", f"{line}\n".encode())


class PageSite:
    """Responds by path; thread-safe. `monotonic` returns seconds."""

    def __init__(
        self, states: TokenStates, health: Health, clock: Clock, monotonic: Callable[[], float]
    ) -> None:
        self._states = states
        self._health = health
        self._clock = clock
        self._page = StatusPage()
        self._fleets: Pacer[FleetStatus] = Pacer(monotonic)
        self._pages: Pacer[PageResponse] = Pacer(monotonic)
        # The JSON of 10,000 tokens has 11 MB, and takes a second: no page waits for it.
        self._objects: Pacer[PageResponse] = Pacer(monotonic, kept=2)
        self._metrics: Pacer[PageResponse] = Pacer(monotonic)

    def respond(self, target: str, accept: str) -> PageResponse:
        """Return the response for a path and its query; `accept` is the header, for the metrics."""
        try:
            return self._respond(target, accept)
        except BusyError:
            line = "too many different things are asked for: try again in some seconds"
            return text_response(HTTPStatus.SERVICE_UNAVAILABLE, line)

    def _respond(self, target: str, accept: str) -> PageResponse:
        path, _, query = target.partition("?")
        match path:
            case "/" | "/api/v1/status":
                return self._respond_with_fleet(path, query)
            case "/healthz":
                return _probe_response(self._health.liveness())
            case "/readyz":
                return _probe_response(self._health.readiness())
            case "/metrics":
                return self._render_metrics(accept)
        known = "there is /, /api/v1/status, /healthz, /readyz and /metrics"
        return text_response(HTTPStatus.NOT_FOUND, known)

    def _respond_with_fleet(self, path: str, query: str) -> PageResponse:
        try:
            view = View.parse(query)
        except ValueError:
            return text_response(HTTPStatus.BAD_REQUEST, "too many fields in the query")
        if path == "/":
            return self._pages.get(view, lambda: self._render_page(view))
        return self._objects.get(view, lambda: self._render_status(view))

    def _fleet(self) -> FleetStatus:
        return self._fleets.get("", self._build_fleet)

    def _build_fleet(self) -> FleetStatus:
        health, now = self._health, self._clock()
        rows = build_rows(self._states.by_name(), health.tokens, now)
        return FleetStatus(rows, now, health.phase, health.reload_error)

    def _render_page(self, view: View) -> PageResponse:
        html = self._page.render(self._fleet(), view)
        response = _compressible("text/html; charset=utf-8", html)
        return response._replace(policy=self._page.policy)

    def _render_status(self, view: View) -> PageResponse:
        fleet = self._fleet()
        rows = view.select(fleet.rows)
        if view.page is not None:
            rows = cut_page(rows, view.page).rows
        return _compressible("application/json", json.dumps(fleet.to_json(rows)) + "\n")

    def _render_metrics(self, accept: str) -> PageResponse:
        if find_spec("prometheus_client") is None:
            line = "metrics need prometheus-client: pip install 'nocturna-rotator[metrics]'"
            return text_response(HTTPStatus.NOT_IMPLEMENTED, line)
        from rotator.metrics import exposition  # noqa: PLC0415 - prometheus_client is an extra

        def render() -> PageResponse:
            failed = self._health.reload_error is not None
            states, now = self._states.by_name(), self._clock()
            labels = exposition.labels_of(self._health.tokens)
            kind, body = exposition.render(states, now, accept, reload_failed=failed, labels=labels)
            return PageResponse(HTTPStatus.OK, kind, body)

        return self._metrics.get(exposition.negotiate(accept), render)


def _compressible(content_type: str, text: str) -> PageResponse:
    body = text.encode()
    # Level 5 takes 10 ms for the page of 200 tokens, and makes 32 KB of 460.
    return PageResponse(HTTPStatus.OK, content_type, body, gzip.compress(body, 5, mtime=0))


def _probe_response(result: ProbeResult) -> PageResponse:
    status = HTTPStatus.OK if result.ok else HTTPStatus.SERVICE_UNAVAILABLE
    return text_response(status, result.message)


def is_own_host(host: str) -> bool:
    """Tell whether a Host header names this machine; the port may be that of a tunnel.

    DNS rebinding: an attacker's site can have a name that leads to 127.0.0.1 a moment later. A
    browser on this machine then reads our page for that site, but sends the site's name as Host.
    """
    match = _HOST.fullmatch(host.strip())
    return match is not None and is_loopback(match[1] or match[2].removesuffix("."))


_LONGEST_PATH = 4096
_BODY_HEADERS = ("Content-Length", "Transfer-Encoding")
_HEADERS = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
)
_GZIP = re.compile(r"\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))")


class PageHandler(BaseHTTPRequestHandler):
    """Serves the requests of one connection; `PageServer` ends it when its time is up."""

    protocol_version = "HTTP/1.1"
    default_request_version = "HTTP/1.0"  # to HTTP/0.9 the base class would send no headers
    disable_nagle_algorithm = True
    wbufsize = 65536  # a small response is one packet
    server: "PageServer"

    def do_GET(self) -> None:
        self._send(self._respond())
        self.server.extend_deadline(self.connection)

    do_HEAD = do_GET  # noqa: N815 - the base class's name

    def _respond(self) -> PageResponse:
        if len(self.path) > _LONGEST_PATH:
            return self._refuse(HTTPStatus.REQUEST_URI_TOO_LONG, "request-uri too long")
        # After a defect, the base class reads no further headers: one may announce a body.
        if self.headers.defects or any(name in self.headers for name in _BODY_HEADERS):
            return self._refuse(HTTPStatus.BAD_REQUEST, "a request with a body")
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 and self.request_version != "HTTP/1.0":  # RFC 9112, section 3.2
            return self._refuse(HTTPStatus.BAD_REQUEST, "expected one Host")
        if self.server.is_loopback and not all(map(is_own_host, hosts)):
            line = "this is for localhost and 127.0.0.1 only; a proxy has to send such a Host"
            return self._refuse(HTTPStatus.MISDIRECTED_REQUEST, line)
        try:
            accept = ", ".join(self.headers.get_all("Accept", []))
            return self.server.site.respond(self.path, accept)
        except Exception as error:  # noqa: BLE001 - a bug of the page must not end the daemon
            _log.error("the page: %s", internal_error(error))
            line = "internal error; see the daemon's log"
            return text_response(HTTPStatus.INTERNAL_SERVER_ERROR, line)

    def _refuse(self, status: HTTPStatus, line: str) -> PageResponse:
        self.close_connection = True  # a body may follow, which is no request
        return text_response(status, line)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what is no HTTP, or another method; the base class would echo it."""
        del message, explain
        if code == HTTPStatus.NOT_IMPLEMENTED:  # there is no `do_METHOD`
            self._send(self._refuse(HTTPStatus.METHOD_NOT_ALLOWED, "only GET and HEAD"))
        else:
            self._send(self._refuse(HTTPStatus(code), HTTPStatus(code).phrase.lower()))

    def _send(self, response: PageResponse) -> None:
        body = response.body
        self.close_connection |= self.server.is_crowded()
        self.send_response_only(response.status)
        headers = [("Date", self.date_time_string()), *_HEADERS]
        headers.append(("Content-Security-Policy", response.policy))
        headers.append(("Content-Type", response.content_type))
        if response.gzipped is not None:
            headers.append(("Vary", "Accept-Encoding"))
            if _GZIP.search(self.headers.get("Accept-Encoding", "")):
                body = response.gzipped
                headers.append(("Content-Encoding", "gzip"))
        headers.append(("Content-Length", str(len(body))))
        if response.status is HTTPStatus.METHOD_NOT_ALLOWED:
            headers.append(("Allow", "GET, HEAD"))
        if self.close_connection:
            headers.append(("Connection", "close"))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Log no requests: who reads the page is no matter of the daemon."""


_WAIT_FOR_PLACE = 0.1  # seconds
# A probe may wait behind a queue of held connections, and gives up after some seconds: one
# eviction has to make room for several of them.
_EVICTED_AT_ONCE = 8
_POLL = 0.25  # seconds


class PageServer(ThreadingTCPServer):
    """Listens from construction on, and responds within `serving()`.

    Each connection has `patience` seconds for a request and its response. Raises `ConfigError` when
    it cannot listen at `address`.
    """

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address: ListenAddress, site: PageSite, patience: float = PATIENCE) -> None:
        self.site = site
        self._patience = patience
        self._connections = threading.Condition()
        self._deadlines: dict[socket.socket, float] = {}
        try:
            found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except (OSError, UnicodeError):
            raise ConfigError(f"--listen {address}: there is no host of this name") from None
        self.address_family = found[0][0]
        place: Any = found[0][4]
        try:
            super().__init__(place, PageHandler)
        except OSError as error:
            reason = _BIND_ERRORS.get(error.errno or 0, error.strerror or "the system refuses it")
            raise ConfigError(f"--listen {address}: {reason}") from None
        host, port = self.socket.getsockname()[:2]
        self.address = ListenAddress(host, port)
        self.is_loopback = is_loopback(host)

    def server_bind(self) -> None:
        """Let `::` mean every interface of IPv4 as well."""
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def is_crowded(self) -> bool:
        """Tell whether connections are to end with their response, to make room for others."""
        return len(self._deadlines) > MOST_CONNECTIONS // 2

    def _has_place(self) -> bool:
        return len(self._deadlines) < MOST_CONNECTIONS

    def extend_deadline(self, connection: socket.socket) -> None:
        with self._connections:
            if connection in self._deadlines:
                self._deadlines[connection] = time.monotonic() + self._patience

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; when there are too many, cut off those quiet for longest.

        So nobody can keep a probe out by holding connections, which would get us restarted.
        """
        connection, client = super().get_request()
        with self._connections:
            if not self._connections.wait_for(self._has_place, _WAIT_FOR_PLACE):
                quietest = sorted(self._deadlines, key=self._deadlines.__getitem__)
                _cut_off(quietest[:_EVICTED_AT_ONCE])
                self._connections.wait_for(self._has_place)
            self._deadlines[connection] = time.monotonic() + self._patience
        return connection, client

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - the base class's type
        with self._connections:
            del self._deadlines[request]
            self._connections.notify()
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Cut off the connections whose time is up; called about every `_POLL` seconds."""
        now = time.monotonic()
        with self._connections:
            _cut_off(each for each, deadline in self._deadlines.items() if deadline < now)

    def handle_error(self, request: object, client_address: object) -> None:
        """Print nothing: the client has gone or was cut off, and bugs are logged already."""

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Respond while the `with` block runs; then stop listening and cut off all connections."""
        thread = threading.Thread(
            target=self.serve_forever, args=(_POLL,), name="page", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            self.shutdown()
            with self._connections:
                _cut_off(self._deadlines)
            self.server_close()
            thread.join()


def _cut_off(connections: Iterable[socket.socket]) -> None:
    for connection in connections:
        with suppress(OSError):  # the client closed it already
            connection.shutdown(socket.SHUT_RDWR)

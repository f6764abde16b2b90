"""The Host of a request to a page that is for this machine alone.

A site of an attacker can have a name that leads to 127.0.0.1 a moment later ("DNS rebinding"): a
browser on this machine then fetches our page for it, as its own. But it sends the site's name.
"""

import gzip
import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.utils import formatdate
from errno import EACCES, EADDRINUSE, EADDRNOTAVAIL
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
from socketserver import ThreadingTCPServer
from typing import Any, NamedTuple

import click

from rotator.clock import Clock
from rotator.daemon.health import Health, Probe
from rotator.daemon.rows import Fleet
from rotator.daemon.views import Document
from rotator.errors import ConfigError, internal_error
from rotator.rotation.states import TokenStates
from rotator.urls import is_loopback

_HOST = re.compile(r"(?:\[([^\]]+)\]|([^:\[\]]+))(?::[0-9]*)?")  # RFC 9112, section 3.2


def is_expected(host: str) -> bool:
    """Tell whether this header names this machine; the port may be that of a tunnel."""
    match = _HOST.fullmatch(host.strip())
    return match is not None and is_loopback(match[1] or match[2].removesuffix("."))


LOOPBACK = "127.0.0.1"
_HIGHEST = 65535
_ADDRESS = re.compile(r"(?:(?:\[([0-9A-Fa-f:.%\w]+)\]|([\w.-]+)):)?([0-9]{1,5})", re.ASCII)
_EXPECTED = "[HOST:]PORT, such as 9464, 0.0.0.0:9464 or [::1]:9464"


class Address(NamedTuple):
    """A host, an IPv6 address without its brackets, and a port, of which 0 is any that is free."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read `[HOST:]PORT`; raises ValueError for anything else.

    Without a host it is this machine alone. `:9464`, which elsewhere means every interface, is
    refused: whoever wants to be reached by others has to say so.
    """
    match = _ADDRESS.fullmatch(text)
    if not match or int(match[3]) > _HIGHEST:
        raise ValueError(_EXPECTED)
    return Address(match[1] or match[2] or LOOPBACK, int(match[3]))


class _AddressType(click.ParamType[Address]):
    name = "address"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Address:
        try:
            return parse_address(str(value))
        except ValueError as error:
            self.fail(f"found {value!r}, expected {error}", param, ctx)


with_listen = click.option(
    "--listen",
    type=_AddressType(),
    metavar="[HOST:]PORT",
    help="Serve the status page there [HOST by default: 127.0.0.1].",
)


_TEXT = "text/plain; charset=utf-8"
_HTML = "text/html; charset=utf-8"
# However many readers there are, page and metrics are made once in this time: a rotation has the
# processor.
FRESH = 2.0  # seconds
_LEVEL = 5  # of gzip: 200 tokens in 32 KB instead of 460, within 10 ms


class Answer(NamedTuple):
    """An answer of HTTP, also compressed if that is worth it; `policy` is what a browser may do."""

    status: HTTPStatus
    content_type: str
    body: bytes
    gzipped: bytes | None = None
    policy: str = "default-src 'none'; frame-ancestors 'none'"


class Site:
    """Answers by path, from many threads; `monotonic` is in seconds."""

    def __init__(
        self, board: TokenStates, condition: Health, clock: Clock, monotonic: Callable[[], float]
    ) -> None:
        self._board = board
        self._condition = condition
        self._clock = clock
        self._monotonic = monotonic
        self._document = Document()
        self._making = threading.Lock()
        self._made: dict[str, tuple[float, Answer]] = {}

    def answer(self, path: str, accept: str) -> Answer:
        """Return the answer for a path; `accept` is the header, for the metrics."""
        match path:
            case "/":
                return self._fresh("page", self._rendered)
            case "/healthz":
                return _of(self._condition.health())
            case "/readyz":
                return _of(self._condition.readiness())
            case "/metrics":
                return self._metrics(accept)
        return told(HTTPStatus.NOT_FOUND, "there is /, /healthz, /readyz and /metrics")

    def _fresh(self, what: str, make: Callable[[], Answer]) -> Answer:
        with self._making:
            now = self._monotonic()
            if what not in self._made or now - self._made[what][0] >= FRESH:
                self._made[what] = now, make()
            return self._made[what][1]

    def _rendered(self) -> Answer:
        condition = self._condition
        tokens = {token.name: token for token in condition.tokens}
        fleet = Fleet(self._board.cards(), tokens, self._clock())
        page = self._document.render(fleet, condition.phase, condition.trouble).encode()
        gzipped = gzip.compress(page, _LEVEL, mtime=0)
        return Answer(HTTPStatus.OK, _HTML, page, gzipped, self._document.policy)

    def _metrics(self, accept: str) -> Answer:
        try:
            from rotator.metrics.exposition import form, render  # noqa: PLC0415 - an extra, rarely asked for
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith("prometheus_client"):
                raise
            line = "metrics need prometheus-client: pip install 'nocturna-rotator[metrics]'"
            return told(HTTPStatus.NOT_IMPLEMENTED, line)

        def exposed() -> Answer:
            failed = self._condition.trouble is not None
            cards, now = self._board.cards(), self._clock()
            content_type, body = render(cards, now, accept, reload_failed=failed)
            return Answer(HTTPStatus.OK, content_type, body)

        return self._fresh(form(accept), exposed)


def told(status: HTTPStatus, line: str) -> Answer:
    """Return an answer of one line of text."""
    return Answer(status, _TEXT, f"{line}\n".encode())


def _of(probe: Probe) -> Answer:
    return told(HTTPStatus.OK if probe.good else HTTPStatus.SERVICE_UNAVAILABLE, probe.line)


_LONGEST_LINE = 4096
_METHODS = ("GET", "HEAD")
_OF_A_BODY = ("Content-Length", "Transfer-Encoding")
_GZIP = re.compile(r"\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))")
_HEADERS = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
)
_log = logging.getLogger(__name__)


class Handler(BaseHTTPRequestHandler):
    """Serves one connection until either side has had enough."""

    protocol_version = "HTTP/1.1"
    default_request_version = "HTTP/1.0"  # 0.9 has no headers, neither theirs nor ours
    disable_nagle_algorithm = True
    wbufsize = 65536  # a small answer is one packet
    server: "PageServer"

    def handle(self) -> None:
        """Serve, and leave quietly when the client does, or was sent away."""
        try:
            super().handle()
        except OSError:
            self.close_connection = True

    def handle_one_request(self) -> None:
        """Read one request and answer it."""
        self.raw_requestline = self.rfile.readline(_LONGEST_LINE + 1)
        if len(self.raw_requestline) > _LONGEST_LINE:
            self.request_version, self.command = "HTTP/1.1", "GET"
            self.send_error(HTTPStatus.REQUEST_URI_TOO_LONG)
        elif not self.raw_requestline or not self.parse_request():
            self.close_connection = True
        else:
            self._send(self._answer())
            self.server.renew(self.connection)

    def _answer(self) -> Answer:
        if self.command not in _METHODS:
            return self._refused(HTTPStatus.METHOD_NOT_ALLOWED, "only GET and HEAD")
        # What follows a line that is no header was not read: it may announce a body as well.
        if self.headers.defects or any(name in self.headers for name in _OF_A_BODY):
            return self._refused(HTTPStatus.BAD_REQUEST, "a request with a body")
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 and self.request_version != "HTTP/1.0":  # RFC 9112, section 3.2
            return self._refused(HTTPStatus.BAD_REQUEST, "expected one Host")
        if self.server.is_loopback and not all(map(is_expected, hosts)):
            line = "this is for localhost and 127.0.0.1 only; a proxy has to send such a Host"
            return self._refused(HTTPStatus.MISDIRECTED_REQUEST, line)
        try:
            accept = ", ".join(self.headers.get_all("Accept", []))
            return self.server.site.answer(self.path.partition("?")[0], accept)
        except Exception as error:  # noqa: BLE001 - whatever it is, the daemon has other work to do
            _log.error("the page: %s", internal_error(error))
            return told(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error; see the daemon's log")

    def _refused(self, status: HTTPStatus, line: str) -> Answer:
        self.close_connection = True  # what follows may be anything, such as a body
        return told(status, line)

    def _send(self, answer: Answer) -> None:
        body = answer.body
        self.close_connection |= self.server.is_crowded()
        self.send_response_only(answer.status)
        for name, value in (("Date", formatdate(usegmt=True)), *_HEADERS):
            self.send_header(name, value)
        self.send_header("Content-Security-Policy", answer.policy)
        self.send_header("Content-Type", answer.content_type)
        if answer.gzipped is not None:
            self.send_header("Vary", "Accept-Encoding")
            if _GZIP.search(self.headers.get("Accept-Encoding", "")):
                body = answer.gzipped
                self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        if answer.status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", ", ".join(_METHODS))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what is no HTTP; the base class would echo it, and name its version."""
        del message, explain
        status = HTTPStatus(code)
        self._send(self._refused(status, status.phrase.lower()))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing: who reads the page is no news of the daemon."""


MOST_CONNECTIONS = 64
# For a request and its answer together, however slowly the bytes come.
PATIENCE = 30.0  # seconds
_WAIT_FOR_A_PLACE = 0.1  # seconds
# So many go each time: a probe may have to wait behind a whole queue of connections that are only
# held, and gives up after some seconds.
_SENT_AWAY = 8
_TURN = 0.25  # seconds
_REASONS = {
    EADDRINUSE: "another program listens there: choose another port, or end that one",
    EADDRNOTAVAIL: "this machine has no such address",
    EACCES: "this user may not listen there: choose a port above 1023",
}


class PageServer(ThreadingTCPServer):
    """Listens from construction on; `serving` lets it answer. Raises `ConfigError` if it cannot.

    `patience` is in seconds.
    """

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address: Address, site: Site, patience: float = PATIENCE) -> None:
        self.site = site
        self._patience = patience
        self._lock = threading.Lock()
        self._deadlines: dict[socket.socket, float] = {}
        self._places = threading.Semaphore(MOST_CONNECTIONS)
        self.address_family, place = _resolved(address)
        try:
            super().__init__(place, Handler)
        except OSError as error:
            raise _refusal(address, error) from None
        host, port = self.socket.getsockname()[:2]
        self.address = Address(host, port)
        self.is_loopback = ip_address(host.partition("%")[0]).is_loopback

    def server_bind(self) -> None:
        """Take IPv4 as well where the address is that of every interface, `::`."""
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def is_crowded(self) -> bool:
        """Tell whether connections should end with their answer, so that others get a place."""
        return len(self._deadlines) > MOST_CONNECTIONS // 2

    def renew(self, connection: socket.socket) -> None:
        """Give a connection that was answered the time for another request."""
        with self._lock:
            if connection in self._deadlines:
                self._deadlines[connection] = time.monotonic() + self._patience

    def get_request(self) -> tuple[socket.socket, Any]:
        """Take a connection once there is a place; those that were quiet for longest make it.

        So nobody who holds connections open keeps a probe out, which would get us restarted.
        """
        connection, client = super().get_request()
        if not self._places.acquire(timeout=_WAIT_FOR_A_PLACE):
            with self._lock:
                by_age = sorted(self._deadlines, key=lambda each: self._deadlines[each])
                for oldest in by_age[:_SENT_AWAY]:
                    _hang_up(oldest)
            self._places.acquire()
        with self._lock:
            self._deadlines[connection] = time.monotonic() + self._patience
        return connection, client

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - the base class's type
        """Give the place back."""
        with self._lock:
            del self._deadlines[request]
        self._places.release()
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """End the connections whose time is up; called every quarter of a second or so."""
        now = time.monotonic()
        with self._lock:
            for connection, deadline in self._deadlines.items():
                if deadline < now:
                    _hang_up(connection)

    def handle_error(self, request: object, client_address: object) -> None:
        """Print nothing: what is worth telling was logged."""

    def stop(self) -> None:
        """Stop listening, end every connection, and wait for the threads behind them."""
        self.shutdown()
        with self._lock:
            for connection in self._deadlines:
                _hang_up(connection)
        self.server_close()


@contextmanager
def serving(server: PageServer) -> Iterator[None]:
    """Answer while the `with` block runs."""
    thread = threading.Thread(target=server.serve_forever, args=(_TURN,), name="page", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.stop()
        thread.join()


def _resolved(address: Address) -> tuple[socket.AddressFamily, Any]:
    try:
        found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise ConfigError(f"--listen {address}: there is no host of this name") from None
    family, _, _, _, place = found[0]
    return family, place


def _refusal(address: Address, error: OSError) -> ConfigError:
    reason = _REASONS.get(error.errno or 0, error.strerror or "the system refuses it")
    return ConfigError(f"--listen {address}: {reason}")


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):  # the client was faster
        connection.shutdown(socket.SHUT_RDWR)

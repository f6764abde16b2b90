"""The HTTP server of the embedded API, and the handle that starts and stops it."""

import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import format_datetime
from functools import partial
from http.client import responses
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from threading import Event, Lock, Thread
from typing import Any, Self
from urllib.parse import unquote

from rotator.clock import Clock, utc_now
from rotator.embedded_api.api import ApiRequest, ApiResponse, serve
from rotator.embedded_api.state import ApiState

_LONGEST_LINE = 65536

Serve = Callable[[ApiRequest], ApiResponse]
Middleware = Callable[[ApiRequest, Serve], ApiResponse]
"""Gets each request and the function that serves it, and returns the response to send."""


class ApiHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "LoopbackServer"

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(_LONGEST_LINE)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        path, _, query = self.path.partition("?")
        request = ApiRequest(
            method=self.command,
            path=unquote(path),
            query=query,
            authorization=self.headers.get("authorization"),
            content_type=self.headers.get("content-type"),
            host=self.headers.get("host", ""),
            body=self.rfile.read(int(self.headers.get("content-length", 0))),
        )
        self._send(self.server.serve(request))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Log nothing: requests hold secrets."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer invalid HTTP as uvicorn does; the base class would echo the request."""
        del message, explain
        text = b"Invalid HTTP request received."
        self._send(ApiResponse(code, text, "text/plain; charset=utf-8"))

    def _send(self, response: ApiResponse) -> None:
        date = format_datetime(self.server.clock().astimezone(UTC), usegmt=True)
        fields = [("date", date), ("server", "uvicorn"), *response.headers]
        if response.content_type is not None:
            fields.append(("content-type", response.content_type))
        fields.append(("content-length", str(len(response.body))))
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
        reason = responses.get(response.status, "")
        head = f"HTTP/1.1 {response.status} {reason}\r\n{lines}\r\n".encode("latin-1")
        body = b"" if self.command == "HEAD" else response.body
        if response.drop:
            self.close_connection = True
        if response.send:
            response.send(self, head, body)
        else:
            self.connection.settimeout(None)  # who reads slowly is not idle
            self.wfile.write(head + body)
            self.connection.settimeout(self.server.idle_timeout)


class LoopbackServer(ThreadingTCPServer):
    """Listens on 127.0.0.1 from construction until `stop`; `idle_timeout` is in seconds."""

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, serve: Serve, clock: Clock, *, port: int, idle_timeout: float) -> None:
        super().__init__(("127.0.0.1", port), ApiHandler)
        self.serve = serve
        self.clock = clock
        self.address: tuple[str, int] = self.socket.getsockname()
        self.idle_timeout = idle_timeout
        self._stopping = False
        self._connections: set[socket.socket] = set()
        self._lock = Lock()
        self._thread = Thread(target=self._accept, name="nocturna-embedded-api", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening, close every connection and wait for their threads."""
        self._stopping = True
        socket.create_connection(self.address).close()  # wakes the accepting thread
        self._thread.join()
        with self._lock:
            for connection in self._connections:
                with suppress(OSError):  # the client has closed it
                    connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Remember the connection, so that `stop` can close it."""
        connection, client_address = super().get_request()
        connection.settimeout(self.idle_timeout)
        with self._lock:
            self._connections.add(connection)
        return connection, client_address

    @property
    def connections(self) -> int:
        return len(self._connections)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - the base class's type, which also allows for UDP
        """Close without the base class's `shutdown`, which would turn a reset into an end."""
        with self._lock:
            self._connections.discard(request)
            request.close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Print nothing: the client has gone, or what it sent may hold secrets."""

    def _accept(self) -> None:
        while not self._stopping:
            self.handle_request()


@dataclass(kw_only=True, eq=False)
class EmbeddedApi:
    """An embedded Nocturna API; it serves inside `with EmbeddedApi() as api:`.

    `clock` is the server's clock (aware UTC). Durations are in seconds: `call_delay` is the latency
    of every call, `login_cpu` the processor time of a login, during which all other calls wait;
    `idle_timeout` closes unused connections. `port` 0 takes a free one. `middleware` sees every
    request before and after it is served, and may replace the response.
    """

    clock: Clock = utc_now
    call_delay: float = 0.0
    login_cpu: float = 0.0
    access_lifetime: int = 1800
    refresh_lifetime: int = 7 * 86400
    idle_timeout: float = 5.0
    port: int = 0
    admin_email: str = field(default="admin@example.com", init=False)
    admin_password: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)
    middleware: Middleware | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.state = ApiState(
            self.clock, self.access_lifetime, self.refresh_lifetime, self.login_cpu
        )
        self.admin = self.state.add_user(self.admin_email, self.admin_password, is_admin=True)
        self._stopping = Event()

    def __enter__(self) -> Self:
        self._server = LoopbackServer(
            self._serve, self.clock, port=self.port, idle_timeout=self.idle_timeout
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._server.stop()

    @property
    def url(self) -> str:
        """The base URL, as users configure it: it ends in `/api`."""
        host, port = self._server.address
        return f"http://{host}:{port}/api"

    @property
    def connections(self) -> int:
        """How many connections are open now."""
        return self._server.connections

    def issue(self, days: int = 3) -> str:
        """Mint a service token of the administrator with that many days left, and return it."""
        with self.state.lock:
            row = self.state.mint(self.admin.id, days=days, scope="calculations", eternal=False)
            return row.secret

    def accepts(self, token: str) -> bool:
        """Tell whether the exchange would accept this JWT now; `last_used_at` does not move."""
        with self.state.lock:
            return self.state.find_live_row(token) is not None

    def _serve(self, request: ApiRequest) -> ApiResponse:
        if self.call_delay:
            self._stopping.wait(self.call_delay)
        call_next = partial(serve, self.state)
        return self.middleware(request, call_next) if self.middleware else call_next(request)

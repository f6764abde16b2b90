"""From a request to its answer: routing, the one worker, crashes, and the faults in the queue."""

import socket
import struct
from collections.abc import Iterator
from datetime import UTC
from email.utils import format_datetime
from http.client import responses
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from threading import Event, Lock, Thread
from typing import Any
from urllib.parse import unquote

from rotator.sandbox.api import ROUTES, Answer, Refusal, Request, crash, health, refuse
from rotator.sandbox.faults import Fault, FaultQueue
from rotator.sandbox.state import State

_PREFIX = "/api"
_DOWN = "(psycopg2.OperationalError) connection to server failed: Connection refused"
_FAILED_INSERT = """(psycopg2.errors.DiskFull) could not extend file "base/16384/16402"
[SQL: INSERT INTO tokens (token, token_type) VALUES (%%(token)s, %%(token_type)s)]
[parameters: {'token': '%s', 'token_type': 'service'}]"""
_NOT_DONE = Answer(204)


class Service:
    """Serves requests from many threads; `stopping` wakes all that wait."""

    def __init__(self, state: State, call_delay: float) -> None:
        self.state = state
        self.faults = FaultQueue()
        self.calls: list[tuple[str, str, int | None]] = []
        self.stopping = Event()
        self._call_delay = call_delay

    def serve(self, request: Request) -> tuple[Answer, Fault]:
        """Return the answer, and the fault that says how to send it."""
        name = _relative(request.path)
        if self._call_delay:
            self.stopping.wait(self._call_delay)
        template = _template(request.path)
        fault = self.faults.take(f"{request.method} {name}", f"{request.method} {template}")
        if fault.hold:
            self.stopping.wait(fault.hold)
        fault.before()
        with self.state.lock:
            answer = self._work(request, template) if fault.work else _NOT_DONE
            answer = self._distort(answer, fault)
        fault.after()
        if fault.wait:
            self.stopping.wait(fault.wait)
        self.calls.append((request.method, name, None if fault.send == "reset" else answer.status))
        return answer, fault

    def _work(self, request: Request, template: str | None) -> Answer:
        if template is None:
            return _unknown(request)
        calls = ROUTES[template]
        if request.method not in calls:
            allowed = next(iter(calls))  # Starlette names the first route of a path only
            return refuse(405, "Method Not Allowed", ("allow", allowed)).answer
        call = calls[request.method]
        if self.state.database_broken and call is not health:
            return crash(_DOWN)
        try:
            return call(self.state, request)
        except Refusal as refusal:
            return refusal.answer
        except Exception as error:  # noqa: BLE001 - the API turns every uncaught exception into this
            return crash(str(error))

    def _distort(self, answer: Answer, fault: Fault) -> Answer:
        if fault.error == "plain":
            return crash(_DOWN)
        if fault.error == "token":
            return crash(self._failed_insert())
        return fault.answer or answer

    def _failed_insert(self) -> str:
        now = self.state.clock()
        live = [row for row in self.state.newest_first() if row.is_live(now)]
        return _FAILED_INSERT % (live[0].secret if live else None)


def _relative(path: str) -> str:
    return path.removeprefix(_PREFIX) if path.startswith(f"{_PREFIX}/") else path


def _template(path: str) -> str | None:
    name = _relative(path)
    if name == path and path != "/health":
        return None
    if name in ROUTES:
        return name
    head, _, last = name.rpartition("/")
    return f"{head}/{{id}}" if last and f"{head}/{{id}}" in ROUTES else None


def _unknown(request: Request) -> Answer:
    bare = request.path.rstrip("/")
    if bare == request.path or _template(bare) is None:
        return refuse(404, "Not Found").answer
    # Behind a proxy that ends TLS this sends clients to plain HTTP, as the real one does.
    query = f"?{request.query}" if request.query else ""
    return Answer(307, b"", None, (("location", f"http://{request.host}{bare}{query}"),))


_LONGEST_LINE = 65536
_NO_LINGER = struct.pack("ii", 1, 0)  # closing now resets the connection
_PADDING = b"x" * 65536


class Handler(BaseHTTPRequestHandler):
    """Serves one keep-alive connection until either side has had enough."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "LoopbackServer"

    def setup(self) -> None:
        """Drop the connection when it is idle for too long."""
        super().setup()
        self.connection.settimeout(self.server.idle_timeout)

    def handle(self) -> None:
        """Serve, and leave quietly when the client does."""
        try:
            super().handle()
        except OSError:
            self.close_connection = True

    def handle_one_request(self) -> None:
        """Read one request and answer it."""
        self.raw_requestline = self.rfile.readline(_LONGEST_LINE)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        answer, fault = self.server.service.serve(self._read())
        self._send(answer, fault)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing: calls are recorded, and requests hold secrets."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what is no HTTP as uvicorn does; the base class would echo it."""
        del message, explain
        answer = Answer(code, b"Invalid HTTP request received.", "text/plain; charset=utf-8")
        self.wfile.write(self._head(answer, len(answer.body)) + answer.body)

    def _read(self) -> Request:
        path, _, query = self.path.partition("?")
        return Request(
            method=self.command,
            path=unquote(path),
            query=query,
            authorization=self.headers.get("authorization"),
            content_type=self.headers.get("content-type"),
            host=self.headers.get("host", ""),
            body=self.rfile.read(int(self.headers.get("content-length", 0))),
        )

    def _send(self, answer: Answer, fault: "Fault") -> None:
        body = b"" if self.command == "HEAD" else answer.body
        if answer.drop or fault.send in ("dropped", "truncated"):
            self.close_connection = True
        match fault.send:
            case "whole" | "dropped":
                self.wfile.write(self._head(answer, len(answer.body)) + body)
            case "truncated":
                self.wfile.write(self._head(answer, len(answer.body)) + body[: len(body) // 2])
            case "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
                self.close_connection = True
            case "dripped":
                self.wfile.write(self._head(answer, len(answer.body)))
                for byte in body:
                    self.wfile.write(bytes([byte]))
                    self.server.service.stopping.wait(fault.gap)
            case "padded":
                self.wfile.write(self._head(answer, None))
                for piece in _padded(body, fault.size):
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                self.wfile.write(b"0\r\n\r\n")

    def _head(self, answer: Answer, length: int | None) -> bytes:
        date = format_datetime(self.server.service.state.clock().astimezone(UTC), usegmt=True)
        fields = [("date", date), ("server", "uvicorn"), *answer.headers]
        if answer.content_type is not None:
            fields.append(("content-type", answer.content_type))
        if length is None:
            fields.append(("transfer-encoding", "chunked"))
        else:
            fields.append(("content-length", str(length)))
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
        reason = responses.get(answer.status, "")
        return f"HTTP/1.1 {answer.status} {reason}\r\n{lines}\r\n".encode("latin-1")


def _padded(body: bytes, size: int | None) -> Iterator[bytes]:
    """Put `size` bytes of padding in front of the keys of a JSON object."""
    yield b'{"padding":"'
    while size is None or size > 0:
        piece = _PADDING if size is None else _PADDING[:size]
        yield piece
        size = size and size - len(piece)
    rest = body.removeprefix(b"{")
    yield b'",' + rest if rest != body else b'"}'


class LoopbackServer(ThreadingTCPServer):
    """Listens on 127.0.0.1 from construction until `stop`; `idle_timeout` is in seconds."""

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, service: Service, *, port: int, idle_timeout: float) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.service = service
        self.address: tuple[str, int] = self.socket.getsockname()
        self.idle_timeout = idle_timeout
        self._connections: set[socket.socket] = set()
        self._lock = Lock()
        self._thread = Thread(target=self._accept, name="nocturna-sandbox", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening, close every connection and wait for the threads behind them."""
        self.service.stopping.set()
        socket.create_connection(self.address).close()  # wakes the thread that waits for one
        self._thread.join()
        with self._lock:
            for connection in self._connections:
                _hang_up(connection)
        self.server_close()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Remember the connection, so that `stop` can close it."""
        connection, client_address = super().get_request()
        with self._lock:
            self._connections.add(connection)
        return connection, client_address

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - the base class's type, which also allows for UDP
        """Close without the goodbye of the base class, which would turn a reset into an end."""
        with self._lock:
            self._connections.discard(request)
            request.close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Print nothing: what a client sent may hold secrets."""

    def _accept(self) -> None:
        while not self.service.stopping.is_set():
            self.handle_request()


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the client was faster

"""HTTP on one connection: reads requests, writes answers, and breaks off where a fault says so."""

import socket
import struct
from collections.abc import Iterator
from datetime import UTC
from email.utils import format_datetime
from http.client import responses
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING
from urllib.parse import unquote

from rotator.sandbox.messages import Answer, Request

if TYPE_CHECKING:
    from rotator.sandbox.faults import Fault
    from rotator.sandbox.server import LoopbackServer

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

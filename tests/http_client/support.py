"""A server of raw sockets, which sends whatever a test wants, as slowly as it wants."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.waiting import PATIENCE

_VARIABLES = (
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("requests_ca_bundle", "curl_ca_bundle", "netrc"),
)


def forget_environment(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Let no variable of this machine's decide how a server is reached."""
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("HOME", str(home))


Script = Callable[["RawServer", socket.socket], None]


@dataclass
class RawServer:
    """`requests` are the heads that it was sent; `is_over` ends every drip."""

    url: str = ""
    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)

    def read_head(self, connection: socket.socket) -> bytes:
        """Read one request's head; empty when the client has left."""
        head = b""
        while b"\r\n\r\n" not in head:
            if not (piece := connection.recv(65536)):
                return b""
            head += piece
        self.requests.append(head)
        return head

    def drip(self, connection: socket.socket, piece: bytes, pause: float = 0.05) -> None:
        """Send the piece again and again, with pauses, until the test is over."""
        while not self.is_over.wait(pause):
            connection.sendall(piece)


def answering(*answers: bytes) -> Script:
    """Give each request its answer, and the last one for ever."""
    left = list(answers)

    def script(server: RawServer, connection: socket.socket) -> None:
        while server.read_head(connection):
            connection.sendall(left.pop(0) if len(left) > 1 else left[0])

    return script


def dripping(start: bytes, piece: bytes) -> Script:
    """Answer a request with `start` at once, and then with pieces that never end."""

    def script(server: RawServer, connection: socket.socket) -> None:
        if server.read_head(connection):
            connection.sendall(start)
            server.drip(connection, piece)

    return script


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
DRIPS = {
    "a status line": dripping(b"HTTP/1.1 200 ", b"O"),
    "a header": dripping(b"HTTP/1.1 200 OK\r\nX: ", b"x"),
    "headers": dripping(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "100 Continue": dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "103 Early Hints": dripping(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"),
    "a body": dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x"),
    "a body without a length": dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
    "chunks": dripping(CHUNKED, b"1\r\nx\r\n"),
    "the length of a chunk": dripping(CHUNKED + b"1;", b"x"),
    "trailers": dripping(CHUNKED + b"1\r\nx\r\n0\r\n", b"X: y\r\n"),
    "nothing": dripping(b"", b""),
}


def tunnel(script: Script, tls: ssl.SSLContext) -> Script:
    """Let a proxy's client through, and answer in the place of the server behind it."""

    def through(server: RawServer, connection: socket.socket) -> None:
        if server.read_head(connection):
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            with tls.wrap_socket(connection, server_side=True) as secured:
                script(server, secured)

    return through


def ok(body: bytes = b"{}", *headers: bytes) -> bytes:
    lines = (b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), *headers)
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


@contextmanager
def raw_server(script: Script, tls: ssl.SSLContext | None = None) -> Iterator[RawServer]:
    """Run a server; each of its connections has a thread that follows the script."""
    server = RawServer()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.port = listener.getsockname()[1]
        server.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.port}"

        def serve(connection: socket.socket) -> None:
            with suppress(OSError), connection:
                if tls:
                    with tls.wrap_socket(connection, server_side=True) as secured:
                        script(server, secured)
                else:
                    script(server, connection)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threading.Thread(target=serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield server
        finally:
            server.is_over.set()
            listener.shutdown(socket.SHUT_RDWR)


@contextmanager
def deaf_name_servers(monkeypatch: pytest.MonkeyPatch, answer: str = "127.0.0.1") -> Iterator[None]:
    """Let the system's look-up of a name last until the end of this block; then it succeeds."""
    look_up, is_over = socket.getaddrinfo, threading.Event()

    def wait(host: str, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - the system's
        if host.endswith(".example"):
            is_over.wait(PATIENCE)
            host = answer
        return look_up(host, *args, **options)

    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", wait)
        try:
            yield
        finally:
            is_over.set()


class Timer:
    """Measures the seconds since it was made."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._start

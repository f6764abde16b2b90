"""A client with its parts at hand, and a server that records what it is sent."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.parser import BytesParser
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import Any

from rotator.clock import Clock, utc_now
from rotator.errors import NotFoundError
from rotator.http.client import Limits
from rotator.nocturna.api import ApiClient
from rotator.nocturna.service_tokens import TokenApi
from rotator.nocturna.session import AdminSession, Credentials
from tests.support.sandbox import Fault, Sandbox

QUICK = Limits(backoff=0.0, longest_pause=0.1)
HASTY = Limits(read=0.2, retries=0)

LOGIN = "POST /auth/login"
REFRESH = "POST /auth/refresh"
MINT = "POST /auth/admin/service-tokens"
LIST = "GET /auth/admin/service-tokens"
VERIFY = "GET /auth/admin/verify"
EXCHANGE = "POST /auth/service-token/refresh"
GONE = "DELETE /auth/admin/service-tokens/gone"
REVOKE = "DELETE /auth/admin/service-tokens/{id}"


def credentials(password: str, email: str = "admin@example.com") -> Credentials:
    return lambda: (email, password)


MADE_UP = credentials("made-up-password")


class Stopwatch:
    """A monotonic clock that stands still until it is told to move."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class Client:
    """Everything between a rotation and the wire, for one API."""

    def __init__(
        self,
        url: str,
        credentials: Credentials,
        limits: Limits = QUICK,
        clock: Clock = utc_now,
    ) -> None:
        self.credentials = credentials
        self.limits = limits
        self.stopwatch = Stopwatch()
        self.http = ApiClient(url, clock, limits)
        self.admin = AdminSession(self.http, credentials, self.stopwatch)
        self.tokens = TokenApi(self.http, self.admin, self.stopwatch)

    def call(self) -> None:
        """Make some call as the admin: it revokes a token that is not there."""
        with suppress(NotFoundError):
            self.tokens.revoke("gone")


def client_of(api: Sandbox, limits: Limits = QUICK, clock: Clock = utc_now) -> Client:
    return Client(api.url, credentials(api.admin_password), limits, clock)


def session(**changes: Any) -> Fault:  # noqa: ANN401 - whatever JSON can hold
    """Answer as a login or a refresh, with changes."""
    usual = {"access_token": "a", "refresh_token": "r", "expires_in": 1800}
    return Fault.json_of(usual | changes)


def paths(api: Sandbox) -> list[str]:
    """Return the calls that the API has had, without their statuses."""
    return [f"{method} {path}" for method, path, _ in api.calls]


@dataclass(frozen=True)
class Recorded:
    line: str
    headers: dict[str, str]
    body: str


class Recorder:
    """Has an answer for each request in turn; the last one is given for ever."""

    def __init__(self, answers: tuple[bytes, ...]) -> None:
        self.requests: list[Recorded] = []
        self.answers = list(answers)
        self.url = ""


def answer(status: int = 200, body: str = '{"success": true}', *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return ("\r\n".join(lines) + f"\r\n\r\n{body}").encode()


@contextmanager
def recorder(*answers: bytes, tls: ssl.SSLContext | None = None) -> Iterator[Recorder]:
    """Run a server that closes each connection after its answer."""
    record = Recorder(answers)

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            line = self.rfile.readline().decode().strip()
            if not line:
                return  # a TLS client that left after the handshake
            head = b"".join(iter(self.rfile.readline, b"\r\n"))
            headers = {k.lower(): v for k, v in BytesParser().parsebytes(head).items()}
            body = self.rfile.read(int(headers.get("content-length", 0))).decode()
            record.requests.append(Recorded(line, headers, body))
            self.wfile.write(
                record.answers.pop(0) if len(record.answers) > 1 else record.answers[0]
            )

    class Server(ThreadingTCPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """Print nothing: clients that do not trust the certificate hang up."""

    with Server(("127.0.0.1", 0), Handler) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        scheme = "https" if tls else "http"
        record.url = f"{scheme}://127.0.0.1:{server.server_address[1]}/api"
        thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield record
        server.shutdown()
        thread.join()

"""A Pushgateway as its documentation has it: groups, POST, and the families in them.

https://github.com/prometheus/pushgateway#url
"""

import base64
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

Group = dict[str, Metric]


@dataclass
class Gateway:
    """What was pushed, by path, and how it answers: `status` is 200 unless told otherwise."""

    scheme: str
    port: int = 0
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    users: list[str | None] = field(default_factory=list)
    connections: int = 0
    drip: threading.Event | None = None

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def number(self, token: str, metric: str) -> float | None:
        """Return what the gateway says of a token."""
        family = self.groups[f"/metrics/job/nocturna-rotator/token/{token}"].get(metric)
        return family.samples[0].value if family else None


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet about clients that do not trust it."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    gateway: Gateway

    def setup(self) -> None:
        super().setup()
        self.gateway.connections += 1

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        login = self.headers.get("Authorization")
        user = base64.b64decode(login.removeprefix("Basic ")).decode() if login else None
        self.gateway.users.append(user)
        if self.gateway.drip:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
            while not self.gateway.drip.wait(0.05):
                self.wfile.write(b"x")
            self.close_connection = True
            return
        if self.gateway.status == 200:
            found = {family.name: family for family in text_string_to_metric_families(body)}
            self.gateway.groups.setdefault(self.path, {}).update(found)
        self.send_response(self.gateway.status)
        for name, value in {"Content-Length": "0", **self.gateway.headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
        """Keep quiet."""


@contextmanager
def pushgateway(tls: ssl.SSLContext | None = None) -> Iterator[Gateway]:
    """Yield a gateway on this machine, which speaks TLS if it is given its side of it."""
    gateway = Gateway(scheme="https" if tls else "http")

    class Handler(_Handler):
        pass

    Handler.gateway = gateway
    server = _Server(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    gateway.port = server.server_port
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield gateway
    finally:
        if gateway.drip:
            gateway.drip.set()
        server.shutdown()
        server.server_close()

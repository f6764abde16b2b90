"""The sockets: a thread per connection, of which there are only so many, for only so long."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EACCES, EADDRINUSE, EADDRNOTAVAIL
from ipaddress import ip_address
from socketserver import ThreadingTCPServer
from typing import Any

from rotator.errors import ConfigError
from rotator.page.address import Address
from rotator.page.handler import Handler
from rotator.page.site import Site

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

"""The sockets: a loopback server with a thread per connection that stops at once."""

import socket
from socketserver import ThreadingTCPServer
from threading import Lock, Thread
from typing import Any

from rotator.sandbox.handler import Handler
from rotator.sandbox.service import Service


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

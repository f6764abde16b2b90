"""A door in front of the API: while it is shut, nobody listens at the address that clients have."""

import secrets
import socket
from contextlib import suppress
from threading import Thread
from typing import Self
from urllib.parse import urlsplit

_CHUNK = 65536
_LISTENED_TO = range(20000, 32768)  # below the ports that a system gives to clients by itself


class Door:
    """Relays connections from a port of its own to the one of a URL, until it is shut."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._behind = (str(address.hostname), address.port or 0)
        self._listener = _listen_anywhere()
        self._port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}{address.path}"
        self._thread = self._answering()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.shut()

    def shut(self) -> None:
        """Listen no more; connections that are open stay so."""
        with suppress(OSError):  # it is shut already
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for one
        self._thread.join()
        self._listener.close()

    def open(self) -> None:
        """Listen again, at the same address."""
        self._listener = socket.create_server(("127.0.0.1", self._port))
        self._thread = self._answering()

    def _answering(self) -> Thread:
        thread = Thread(target=self._answer, args=(self._listener,), daemon=True)
        thread.start()
        return thread

    def _answer(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(self._behind)
                for source, sink in ((client, server), (server, client)):
                    Thread(target=_pump, args=(source, sink), daemon=True).start()


def _listen_anywhere() -> socket.socket:
    """Listen at a port that no client's connection takes while the door is shut."""
    while True:
        with suppress(OSError):  # somebody listens there
            return socket.create_server(("127.0.0.1", secrets.choice(_LISTENED_TO)))


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(_CHUNK):
            sink.sendall(piece)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
    source.close()

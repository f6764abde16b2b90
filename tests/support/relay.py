"""A relay before a real HTTP server: it passes everything on, until a given moment.

Each request has two moments: it has come and is not passed on yet (even numbers), and it has been
done and is not answered yet (odd numbers). What happens then is passed in: nothing, a connection
that is dropped, a process that is killed.
"""

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import urlsplit

from tests.support.waiting import PATIENCE

Moment = Callable[[str], bool]
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class Relay:
    """Relays to the server at `upstream` while its `with` block runs.

    `moments` are the requests so far, two entries for each, such as `before PUT /v1/…`. `at` is
    asked at each moment with its name; where it returns False the connection is dropped.
    `under_way` are the requests that the server has got and not answered yet.
    """

    def __init__(self, upstream: str, at: Moment = lambda _: True) -> None:
        self.at = at
        self.moments: list[str] = []
        self.under_way = 0
        self._upstream = urlsplit(upstream)
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """The relay's own address, with the path of the upstream's."""
        return f"http://127.0.0.1:{self._server.server_port}{self._upstream.path}"

    @contextmanager
    def cut(self, number: int) -> Iterator["_Cut"]:
        """Drop the connection at the moment with this number from now on, and only there."""
        cut = _Cut(number)
        usual, self.at = self.at, cut.passes
        yield cut
        self.at = usual

    @contextmanager
    def away(self) -> Iterator[None]:
        """Drop every connection."""
        usual, self.at = self.at, lambda _: False
        yield
        self.at = usual

    def _passes(self, moment: str) -> bool:
        with self._lock:
            self.moments.append(moment)
            return self.at(moment)

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._upstream.netloc, timeout=PATIENCE)

    def _answer(
        self, request: BaseHTTPRequestHandler, body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        with self._lock:
            self.under_way += 1
        upstream = self._connection()
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP_BY_HOP}
        try:
            upstream.request(request.command, request.path, body or None, headers)
            response = upstream.getresponse()
            return response.status, response.getheaders(), response.read()
        finally:
            upstream.close()
            with self._lock:
                self.under_way -= 1

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        relay = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # it delays a body behind its headers by 40 ms

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except (ConnectionError, http.client.HTTPException):  # of either side
                    self.close_connection = True

            def relayed(self) -> None:
                target = self.headers.get("X-Amz-Target", "")  # AWS names the call only here
                name = f"{self.command} {self.path} {target}".rstrip()
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if not relay._passes(f"before {name}"):
                    self.close_connection = True
                    return
                status, headers, answer = relay._answer(self, body)
                if not relay._passes(f"after {name}"):
                    self.close_connection = True
                    return
                self.send_response_only(status)
                for key, value in headers:
                    if key.lower() not in _HOP_BY_HOP:
                        self.send_header(key, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = relayed  # noqa: N815
            do_LIST = relayed  # noqa: N815 - http.server's way to name a method

            def log_message(self, *_: object) -> None:
                """Say nothing: addresses of stores are no news."""

        return Handler


class _Cut:
    def __init__(self, number: int) -> None:
        self.reached = False
        self._left = number

    def passes(self, _: str) -> bool:
        self._left -= 1
        if self._left == -1:
            self.reached = True
            return False
        return True

"""A server with one answer to all requests, or to each method."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def answer_all(
    status: int, body: bytes, other: Mapping[str, tuple[int, bytes]] = {}, **headers: str
) -> Iterator[tuple[str, list[str]]]:
    """Yield the URL of a server, and the list of its requests with their Authorization.

    `other` has the answers to some methods.
    """
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            seen.append(f"{self.command} {self.path} {self.headers.get('Authorization')}")
            code, content = other.get(self.command, (status, body))
            self.send_response_only(code)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = answer  # noqa: N815 - http.server's way to name a method

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()

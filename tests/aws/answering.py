"""An endpoint that answers everything alike, for what moto never says."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Endpoint:
    """Answers with `status` and `body` at `url`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.status = 200
        self.body = b"{}"

    def answer(self, status: int, answer: object) -> str:
        """Set the answer: bytes, or what is to be JSON; return the URL."""
        self.status = status
        self.body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        return self.url


@contextmanager
def answering() -> Iterator[Endpoint]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(endpoint.status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(endpoint.body)))
            self.end_headers()
            self.wfile.write(endpoint.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    endpoint = Endpoint(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()

"""HTTP/1.1 on one connection: GET and HEAD, no bodies, no banner."""

import logging
import re
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING

from rotator.errors import internal_error
from rotator.page.hosts import is_expected
from rotator.page.site import Answer, told

if TYPE_CHECKING:
    from rotator.daemon.web import PageServer

_LONGEST_LINE = 4096
_METHODS = ("GET", "HEAD")
_OF_A_BODY = ("Content-Length", "Transfer-Encoding")
_GZIP = re.compile(r"\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))")
_HEADERS = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
)
_log = logging.getLogger(__name__)


class Handler(BaseHTTPRequestHandler):
    """Serves one connection until either side has had enough."""

    protocol_version = "HTTP/1.1"
    default_request_version = "HTTP/1.0"  # 0.9 has no headers, neither theirs nor ours
    disable_nagle_algorithm = True
    wbufsize = 65536  # a small answer is one packet
    server: "PageServer"

    def handle(self) -> None:
        """Serve, and leave quietly when the client does, or was sent away."""
        try:
            super().handle()
        except OSError:
            self.close_connection = True

    def handle_one_request(self) -> None:
        """Read one request and answer it."""
        self.raw_requestline = self.rfile.readline(_LONGEST_LINE + 1)
        if len(self.raw_requestline) > _LONGEST_LINE:
            self.request_version, self.command = "HTTP/1.1", "GET"
            self.send_error(HTTPStatus.REQUEST_URI_TOO_LONG)
        elif not self.raw_requestline or not self.parse_request():
            self.close_connection = True
        else:
            self._send(self._answer())
            self.server.renew(self.connection)

    def _answer(self) -> Answer:
        if self.command not in _METHODS:
            return self._refused(HTTPStatus.METHOD_NOT_ALLOWED, "only GET and HEAD")
        # What follows a line that is no header was not read: it may announce a body as well.
        if self.headers.defects or any(name in self.headers for name in _OF_A_BODY):
            return self._refused(HTTPStatus.BAD_REQUEST, "a request with a body")
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 and self.request_version != "HTTP/1.0":  # RFC 9112, section 3.2
            return self._refused(HTTPStatus.BAD_REQUEST, "expected one Host")
        if self.server.is_loopback and not all(map(is_expected, hosts)):
            line = "this is for localhost and 127.0.0.1 only; a proxy has to send such a Host"
            return self._refused(HTTPStatus.MISDIRECTED_REQUEST, line)
        try:
            accept = ", ".join(self.headers.get_all("Accept", []))
            return self.server.site.answer(self.path.partition("?")[0], accept)
        except Exception as error:  # noqa: BLE001 - whatever it is, the daemon has other work to do
            _log.error("the page: %s", internal_error(error))
            return told(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error; see the daemon's log")

    def _refused(self, status: HTTPStatus, line: str) -> Answer:
        self.close_connection = True  # what follows may be anything, such as a body
        return told(status, line)

    def _send(self, answer: Answer) -> None:
        body = answer.body
        self.close_connection |= self.server.is_crowded()
        self.send_response_only(answer.status)
        for name, value in (("Date", formatdate(usegmt=True)), *_HEADERS):
            self.send_header(name, value)
        self.send_header("Content-Security-Policy", answer.policy)
        self.send_header("Content-Type", answer.content_type)
        if answer.gzipped is not None:
            self.send_header("Vary", "Accept-Encoding")
            if _GZIP.search(self.headers.get("Accept-Encoding", "")):
                body = answer.gzipped
                self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        if answer.status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", ", ".join(_METHODS))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what is no HTTP; the base class would echo it, and name its version."""
        del message, explain
        status = HTTPStatus(code)
        self._send(self._refused(status, status.phrase.lower()))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing: who reads the page is no news of the daemon."""

"""What is at which path: pure, but for the clock and the board that it asks."""

import gzip
import threading
from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple

from rotator.clock import Clock
from rotator.daemon.health import Condition, Probe
from rotator.daemon.rows import Fleet
from rotator.daemon.states import Board
from rotator.page.document import Document

_TEXT = "text/plain; charset=utf-8"
_HTML = "text/html; charset=utf-8"
# However many readers there are, page and metrics are made once in this time: a rotation has the
# processor.
FRESH = 2.0  # seconds
_LEVEL = 5  # of gzip: 200 tokens in 32 KB instead of 460, within 10 ms


class Answer(NamedTuple):
    """An answer of HTTP, also compressed if that is worth it; `policy` is what a browser may do."""

    status: HTTPStatus
    content_type: str
    body: bytes
    gzipped: bytes | None = None
    policy: str = "default-src 'none'; frame-ancestors 'none'"


class Site:
    """Answers by path, from many threads; `monotonic` is in seconds."""

    def __init__(
        self, board: Board, condition: Condition, clock: Clock, monotonic: Callable[[], float]
    ) -> None:
        self._board = board
        self._condition = condition
        self._clock = clock
        self._monotonic = monotonic
        self._document = Document()
        self._making = threading.Lock()
        self._made: dict[str, tuple[float, Answer]] = {}

    def answer(self, path: str, accept: str) -> Answer:
        """Return the answer for a path; `accept` is the header, for the metrics."""
        match path:
            case "/":
                return self._fresh("page", self._rendered)
            case "/healthz":
                return _of(self._condition.health())
            case "/readyz":
                return _of(self._condition.readiness())
            case "/metrics":
                return self._metrics(accept)
        return told(HTTPStatus.NOT_FOUND, "there is /, /healthz, /readyz and /metrics")

    def _fresh(self, what: str, make: Callable[[], Answer]) -> Answer:
        with self._making:
            now = self._monotonic()
            if what not in self._made or now - self._made[what][0] >= FRESH:
                self._made[what] = now, make()
            return self._made[what][1]

    def _rendered(self) -> Answer:
        condition = self._condition
        tokens = {token.name: token for token in condition.tokens}
        fleet = Fleet(self._board.cards(), tokens, self._clock())
        page = self._document.render(fleet, condition.phase, condition.trouble).encode()
        gzipped = gzip.compress(page, _LEVEL, mtime=0)
        return Answer(HTTPStatus.OK, _HTML, page, gzipped, self._document.policy)

    def _metrics(self, accept: str) -> Answer:
        try:
            from rotator.metrics.exposition import form, render  # noqa: PLC0415 - an extra, rarely asked for
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith("prometheus_client"):
                raise
            line = "metrics need prometheus-client: pip install 'nocturna-rotator[metrics]'"
            return told(HTTPStatus.NOT_IMPLEMENTED, line)

        def exposed() -> Answer:
            failed = self._condition.trouble is not None
            cards, now = self._board.cards(), self._clock()
            content_type, body = render(cards, now, accept, reload_failed=failed)
            return Answer(HTTPStatus.OK, content_type, body)

        return self._fresh(form(accept), exposed)


def told(status: HTTPStatus, line: str) -> Answer:
    """Return an answer of one line of text."""
    return Answer(status, _TEXT, f"{line}\n".encode())


def _of(probe: Probe) -> Answer:
    return told(HTTPStatus.OK if probe.good else HTTPStatus.SERVICE_UNAVAILABLE, probe.line)

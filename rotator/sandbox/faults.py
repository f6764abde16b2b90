"""What can go wrong between a client and the API, as data, and the queue of what will."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Literal

from rotator.sandbox.api import Answer

Sending = Literal["whole", "dropped", "reset", "truncated", "padded", "dripped"]

_BUSY = b"<html><head><title>503 Service Temporarily Unavailable</title></head></html>"


def _nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way to go wrong; `work` says whether the call still does what it was asked to do."""

    work: bool = True
    answer: Answer | None = None  # given instead of the call's own
    error: Literal["plain", "token"] | None = None  # crash, with or without a token in the message
    hold: float = 0.0  # seconds between the request and the work
    wait: float = 0.0  # seconds between the work and the answer
    before: Callable[[], object] = _nothing  # what happens elsewhere before the work
    after: Callable[[], object] = _nothing  # what happens elsewhere between work and answer
    send: Sending = "whole"
    gap: float = 0.0  # seconds between two bytes
    size: int | None = None  # bytes of padding, None for endless

    @classmethod
    def delay(cls, seconds: float) -> "Fault":
        """Do the work at once, and answer after that many seconds."""
        return cls(wait=seconds)

    @classmethod
    def late(cls, seconds: float) -> "Fault":
        """Start the work only after that many seconds, whether or not the client still waits."""
        return cls(hold=seconds)

    @classmethod
    def meanwhile(cls, action: Callable[[], object], moment: Literal["before", "after"]) -> "Fault":
        """Do something else at this very moment of the call, which otherwise goes well.

        `before`: the whole request is received, and nothing done; `after`: all is done, and no
        answer sent. The action may take long, make calls itself, or kill the client; other calls
        are served meanwhile. When it raises, the connection ends without an answer.
        """
        return cls(before=action) if moment == "before" else cls(after=action)

    @classmethod
    def reset_before(cls) -> "Fault":
        """Reset the connection, with nothing done."""
        return cls(work=False, send="reset")

    @classmethod
    def reset_after(cls) -> "Fault":
        """Do the work and reset the connection instead of answering."""
        return cls(send="reset")

    @classmethod
    def server_error(cls, *, with_token: bool = True, work: bool = True) -> "Fault":
        """Answer as for an uncaught exception, whose message holds a live service token."""
        return cls(work=work, error="token" if with_token else "plain")

    @classmethod
    def status(
        cls, code: int, body: bytes = b"", content_type: str | None = None, *, work: bool = False
    ) -> "Fault":
        """Answer with this status and body."""
        return cls(work=work, answer=Answer(code, body, content_type))

    @classmethod
    def html(cls, status: int = 502, *, work: bool = False) -> "Fault":
        """Answer with a web page, as proxies do."""
        page = f"<html><head><title>{status}</title></head><body>nginx</body></html>"
        return cls.status(status, page.encode(), "text/html", work=work)

    @classmethod
    def empty_body(cls) -> "Fault":
        """Do the work and answer 200 with no body."""
        return cls.status(200, content_type="application/json", work=True)

    @classmethod
    def json_of(cls, value: object, *, work: bool = True) -> "Fault":
        """Do the work and answer 200 with this value, whatever the call promises."""
        return cls.status(200, json.dumps(value).encode(), "application/json", work=work)

    @classmethod
    def too_many(cls, retry_after: int | str | None = 1) -> "Fault":
        """Answer 429; `retry_after` is seconds, an HTTP date, or None for no such header."""
        return cls(work=False, answer=_busy(429, retry_after))

    @classmethod
    def unavailable(cls, retry_after: int | str | None = None) -> "Fault":
        """Answer 503; `retry_after` is seconds, an HTTP date, or None for no such header."""
        return cls(work=False, answer=_busy(503, retry_after))

    @classmethod
    def redirect(cls, location: str, status: int = 307) -> "Fault":
        """Send the client elsewhere."""
        return cls(work=False, answer=Answer(status, b"", None, (("location", location),)))

    @classmethod
    def truncated(cls) -> "Fault":
        """Do the work and close the connection in the middle of the answer's body."""
        return cls(send="truncated")

    @classmethod
    def huge(cls, size: int | None = 64_000_000) -> "Fault":
        """Do the work and answer with JSON of about `size` bytes, endless for None."""
        return cls(send="padded", size=size)

    @classmethod
    def drip(cls, seconds: float) -> "Fault":
        """Do the work and send the answer's body a byte at a time, so many seconds apart."""
        return cls(send="dripped", gap=seconds)

    @classmethod
    def drop_idle(cls) -> "Fault":
        """Answer well, then close the connection without having said so."""
        return cls(send="dropped")


class FaultQueue:
    """Faults to come, first come first served; `NONE` where a call has none."""

    NONE = Fault()

    def __init__(self) -> None:
        self._lock = Lock()
        self._queue: list[tuple[Fault, str | None, int | None]] = []

    def put(self, fault: Fault, call: str | None, times: int | None) -> None:
        """Queue a fault for that call (None: any), so many times (None: until cleared)."""
        with self._lock:
            self._queue.append((fault, call, times))

    def clear(self) -> None:
        """Forget all that is queued."""
        with self._lock:
            self._queue.clear()

    def take(self, *names: str) -> Fault:
        """Return the next fault for a call that goes by any of these names."""
        with self._lock:
            for place, (fault, call, times) in enumerate(self._queue):
                if call is None or call in names:
                    left = times and times - 1
                    self._queue[place : place + 1] = [(fault, call, left)] if left != 0 else []
                    return fault
        return self.NONE


def _busy(status: int, retry_after: int | str | None) -> Answer:
    headers = () if retry_after is None else (("retry-after", str(retry_after)),)
    return Answer(status, _BUSY, "text/html", headers)

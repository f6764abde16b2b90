"""Deadlines of exchanges: whatever a server sends, and however slowly, each ends in time.

A time-out of the standard library is one for each read, and there is none for the look-up of a
name. So the connections here have a deadline for all that they do: look up, connect, send, read.
"""

# ruff: noqa: ANN401 - what overridden methods of urllib3 pass on

import io
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from http.client import HTTPResponse
from threading import Thread
from typing import Any

from urllib3.connection import HTTPConnection
from urllib3.exceptions import ConnectTimeoutError

from rotator.clock import limit_wait
from rotator.http.urls import is_address

# When the exchange of this thread ends (monotonic seconds).
_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)
# How many bytes an answer may have, where no session counts those of its body.
_largest: ContextVar[int | None] = ContextVar("largest", default=None)
# Whether the exchange of this thread must not use a connection that was used before.
_is_on_new: ContextVar[bool] = ContextVar("is_on_new", default=False)


@contextmanager
def on_new_connections() -> Iterator[None]:
    """Let the exchanges of this block open the connections of `bound_pool` anew."""
    before = _is_on_new.set(True)
    try:
        yield
    finally:
        _is_on_new.reset(before)


@contextmanager
def exchange_within(seconds: float) -> Iterator[None]:
    """Let what the connections of `bound_pool` do in this block end in time."""
    before = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(before)


@contextmanager
def exchanges_within(seconds: float, largest: int) -> Iterator[None]:
    """Do the same for the calls of an SDK, of which each answer may bring `largest` bytes.

    All exchanges of this thread share the seconds. What takes longer or is larger raises an
    `OSError` where the SDK reads, connects or sends.
    """
    most = _largest.set(largest)
    try:
        with exchange_within(seconds):
            yield
    finally:
        _largest.reset(most)


def is_bounded() -> bool:
    """Tell whether this thread is in the midst of an exchange with a deadline."""
    return _deadline.get() is not None


def is_over() -> bool:
    """Tell whether the time of this thread's exchange is over."""
    try:
        seconds_left()
    except TimeoutError:
        return True
    return False


def seconds_left(most: float | None = None) -> float | None:
    """Return the time-out of the next step, at most `most`; raises `TimeoutError`."""
    return _seconds_until(_deadline.get(), most)


def bound_pool(pool: Any) -> None:
    """Let the connections of a pool, or of a class of pools, obey these deadlines.

    Without a deadline they are as before. It is for SDKs that take neither a session nor a class of
    pools from outside.
    """
    if not issubclass(pool.ConnectionCls, _TimedConnection):
        # Whatever it is, one over TLS or through SOCKS.
        pool.ConnectionCls = type("Timed", (_TimedConnection, pool.ConnectionCls), {})


def _seconds_until(deadline: float | None, most: float | None) -> float | None:
    if deadline is None:  # an exchange of somebody else
        return most
    left = limit_wait(deadline - time.monotonic())
    if left <= 0:
        raise TimeoutError("the exchange took too long")
    return left if most is None else min(left, most)


_INTERIM = frozenset(range(100, 200)) - {101}  # which switches to another protocol


class _TimedReader(io.RawIOBase):
    """Reads a socket's file until a deadline, where a time-out limits each single read."""

    def __init__(self, file: io.RawIOBase, sock: socket.socket) -> None:
        self._file = file
        self._sock = sock
        self._silence = sock.gettimeout()
        self._deadline = _deadline.get()
        self._largest = _largest.get()
        self._read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(_seconds_until(self._deadline, self._silence))
        count = self._file.readinto(buffer)
        self._read += count or 0
        if self._largest is not None and self._read > self._largest:
            raise OSError("the answer is too large")
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


class _TimedResponse(HTTPResponse):
    """Reads status, headers, body and trailers until the deadline, also of a proxy's answer."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        if is_bounded():
            self.fp = io.BufferedReader(_TimedReader(self.fp.detach(), sock))

    def begin(self) -> None:
        """Read past interim answers (RFC 9110, section 15.2); http.client knows only 100."""
        super().begin()
        while self.status in _INTERIM:
            self.headers = None  # type: ignore[assignment] # so that it begins anew
            super().begin()


class _TimedConnection(HTTPConnection):
    """Connects and sends until the deadline."""

    response_class = _TimedResponse

    @property
    def is_connected(self) -> bool:
        """Whether urllib3 may use this connection again."""
        return super().is_connected and not _is_on_new.get()

    def connect(self) -> None:
        if not is_bounded():
            super().connect()
            return
        try:
            self.timeout = seconds_left(self.timeout)
            super().connect()
        except TimeoutError as error:  # of the tunnel or of TLS: urllib3 would call it a read's
            raise ConnectTimeoutError(self, "no connection in time") from error

    def _new_conn(self) -> socket.socket:
        # Through SOCKS the host is the target's, and the proxy's name is looked up.
        has_no_look_up = is_address(self._dns_host) and not hasattr(self, "_socks_options")
        if has_no_look_up or not is_bounded():
            return super()._new_conn()
        return _connect_within(seconds_left(), super()._new_conn)

    def send(self, data: Any) -> None:
        if not is_bounded():
            super().send(data)
            return
        if self.sock is None:
            self.connect()
        # The time-out of a TLS socket is for each record of 16 KiB.
        for start in range(0, len(data), 1 << 14):
            self.sock.settimeout(seconds_left(self.timeout))
            super().send(data[start : start + (1 << 14)])


def _connect_within(seconds: float | None, connect: Callable[[], socket.socket]) -> socket.socket:
    """Look a name up and connect, in a thread, and leave it alone when the time is over.

    Nothing else ends the system's look-up of a name, which takes half a minute and more when no
    name server answers. The thread keeps no process alive, and nothing is sent on what it connects
    too late.
    """
    attempt: Future[socket.socket] = Future()

    def run() -> None:
        try:
            attempt.set_result(connect())
        except BaseException as error:  # noqa: BLE001 - it is raised in the other thread
            attempt.set_exception(error)

    try:
        Thread(target=run, daemon=True).start()
    except RuntimeError:  # the system gives us no thread
        return connect()
    try:
        return attempt.result(seconds)
    except BaseException:
        attempt.add_done_callback(_close)
        raise


def _close(attempt: Future[socket.socket]) -> None:
    if attempt.exception() is None:
        attempt.result().close()

"""A server gets no more connections than it was promised, and its pause from everybody."""

import socket
import threading
from collections.abc import Callable

import pytest

from rotator.clock import TimeBudget
from rotator.http.client import BoundedSession, Limits
from rotator.http.failures import FailureKind, explain_failure
from rotator.http.throttle import Throttle
from tests.http_client.support import RawServer, answering, ok, raw_server
from tests.support.clock import StillTime
from tests.support.waiting import PATIENCE

QUICK = Limits(backoff=0.0)
BUSY = b"HTTP/1.1 429 X\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"


class Crowd:
    """Answers once as many connections are open as may be, or none other comes."""

    def __init__(self, most: int) -> None:
        self.open: set[socket.socket] = set()
        self.peak = 0
        self.accepted = 0
        self._all_here = threading.Barrier(most)
        self._lock = threading.Lock()

    def script(self, server: RawServer, connection: socket.socket) -> None:
        with self._lock:
            self.open.add(connection)
            self.accepted += 1
            self.peak = max(self.peak, len(self.open))
        try:
            while server.read_head(connection):
                self._all_here.wait(PATIENCE)
                connection.sendall(ok())
        finally:
            with self._lock:
                self.open.discard(connection)


def in_threads(count: int, act: Callable[[], object]) -> None:
    threads = [threading.Thread(target=act) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)


def test_there_are_never_more_connections_than_permitted() -> None:
    crowd = Crowd(2)
    with raw_server(crowd.script) as server, BoundedSession(throttle=Throttle(2)) as session:
        in_threads(8, lambda: session.get(server.url))
        assert crowd.peak == 2
        assert crowd.accepted == 2
        assert len(server.requests) == 8


def test_a_connection_that_is_opened_anew_takes_the_place_of_a_kept_one() -> None:
    crowd = Crowd(2)
    with raw_server(crowd.script) as server, BoundedSession(throttle=Throttle(2)) as session:
        once = session.once()
        in_threads(2, lambda: session.get(server.url))
        in_threads(4, lambda: once.post(server.url))
        in_threads(2, lambda: session.get(server.url))
        assert crowd.accepted == 2 + 4
        assert len(server.requests) == 8


def test_what_may_be_sent_only_once_is_not_sent_again() -> None:
    def drop(server: RawServer, connection: socket.socket) -> None:
        server.read_head(connection)

    with raw_server(drop) as server, BoundedSession(QUICK, retried_methods=("POST",)) as session:
        with pytest.raises(OSError) as caught:  # noqa: PT011 - of any kind
            session.once().post(server.url)
        assert explain_failure(caught.value).kind is FailureKind.BROKEN
        assert len(server.requests) == 1


def test_a_turn_ends_with_the_answer() -> None:
    with raw_server(answering(ok())) as server, BoundedSession(throttle=Throttle(1)) as session:
        with session.get(server.url, stream=True), TimeBudget(0.0).spending():
            with pytest.raises(OSError) as caught:  # noqa: PT011 - of any kind
                session.get(server.url)
            failure = explain_failure(caught.value)
        assert (failure.kind, failure.never_sent) == (FailureKind.TIMEOUT, True)
        assert session.get(server.url).status_code == 200
        with pytest.raises(OSError):  # noqa: PT011 - of any kind
            session.get("http://127.0.0.1:1")
        assert session.get(server.url).status_code == 200


def test_a_pause_that_one_is_asked_for_is_kept_by_all() -> None:
    time = StillTime()
    throttle = time.throttle()
    with raw_server(answering(BUSY, ok())) as server:
        one = BoundedSession(QUICK, throttle=throttle)
        other = BoundedSession(QUICK, throttle=throttle).once()
        assert one.get(server.url).status_code == 429
        assert time.naps == []
        other.post(server.url)
        assert sum(time.naps) == 7
        other.post(server.url)
        assert sum(time.naps) == 7


def test_a_pause_lasts_no_longer_than_the_longest() -> None:
    time = StillTime()
    with raw_server(answering(BUSY, ok())) as server:
        session = BoundedSession(Limits(longest_pause=2.0), throttle=time.throttle())
        session.get(server.url)
        session.get(server.url)
    assert sum(time.naps) == 2


def test_others_wait_while_a_busy_server_is_asked_again() -> None:
    time = StillTime()
    again = Limits(backoff=0.0, longest_pause=0.01)
    with raw_server(answering(BUSY, ok())) as server:
        session = BoundedSession(again, retried_statuses=(429,), throttle=time.throttle())
        assert session.get(server.url).status_code == 200
        session.get(server.url)
    assert sum(time.naps) == pytest.approx(0.01)


def test_a_pause_longer_than_the_time_that_is_left_is_a_failure() -> None:
    throttle = Throttle(1)
    throttle.pause(PATIENCE)
    for _ in range(2):  # the turn is given back
        with TimeBudget(0.0).spending(), pytest.raises(TimeoutError, match="a pause"):
            throttle.begin()


def test_a_third_waits_until_one_of_two_is_done() -> None:
    throttle, done = Throttle(2), threading.Event()

    def third() -> None:
        with throttle.exchange():
            done.set()

    with throttle.exchange(), throttle.exchange():
        thread = threading.Thread(target=third)
        thread.start()
        assert not done.is_set()
    thread.join(PATIENCE)
    assert done.is_set()

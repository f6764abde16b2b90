"""Many readers, slow ones and hostile ones, beside a rotation that has to go on."""

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Barrier

import pytest

from rotator.daemon.web import MOST_CONNECTIONS
from rotator.rotation.states import TokenStates
from tests.daemon.test_daemon import Watch
from tests.page import fleets
from tests.page.serving import Served, served
from tests.support.clock import FakeClock
from tests.support.sandbox import Fault, Sandbox
from tests.support.waiting import FOREVER, PATIENCE
from tests.support.world import World

READERS = 50
LATER = 3600.0  # seconds; a page is kept for ten times what it took, on a slow machine too
PROBE = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


def read_at_once(page: Served) -> list[str]:
    """Let all readers come at the same moment, and return what they got."""
    barrier = Barrier(READERS)

    def read() -> str:
        barrier.wait()
        return page.get().text

    with ThreadPoolExecutor(READERS) as pool:
        return [task.result() for task in [pool.submit(read) for _ in range(READERS)]]


def send_without_end(line: socket.socket, requests: bytes) -> None:
    while True:
        line.sendall(requests)


def test_readers_at_once_are_answered_while_a_rotation_is_in_hand_and_do_not_keep_it(
    tmp_path: Path, timed_api: Sandbox, clock: FakeClock
) -> None:
    watch = Watch(World(tmp_path, timed_api, clock))
    watch.world.put(timed_api.issue(days=3))
    pages: list[str] = []
    with served(watch.states, clock=clock) as page:
        in_hand = Fault.meanwhile(lambda: pages.extend(read_at_once(page)), "before")
        timed_api.misbehave(in_hand, "POST /auth/admin/service-tokens")
        watch.start()
        after = page.get().text
    assert len(pages) == READERS
    assert all('data-state="waiting" data-name="luna-bot"' in text for text in pages)
    assert watch.world.mints() == 1
    assert 'data-state="ok" data-name="luna-bot"' in after


def test_readers_at_once_get_one_page_that_was_made_once() -> None:
    shown = fleets.of_many(200)
    # One for each reader, and one for the state of the fleet that the first of them asks for.
    moments = iter([0.0] * (READERS + 1) + [LATER] * 2)
    with served(shown.states, monotonic=lambda: next(moments), tokens=shown.tokens) as page:
        pages = set(read_at_once(page))
        assert len(pages) == 1
        page.states.watch(["luna-bot"])
        assert page.get().text not in pages


def test_metrics_are_made_once_for_many_readers_in_each_of_their_two_forms() -> None:
    shown = fleets.of_many(3)
    moments = iter([0.0] * 5 + [LATER])
    with served(shown.states, monotonic=lambda: next(moments), tokens=shown.tokens) as page:
        before = {page.get("metrics", Accept=accept).text for accept in ("", "text/plain", "a/b")}
        form = "application/openmetrics-text;version="
        before |= {page.get("metrics", Accept=form + version).text for version in ("1.0.0", "a")}
        assert len(before) == 2
        page.states.watch(["luna-bot"])
        assert page.get("metrics").text not in before


def test_whoever_holds_every_connection_open_keeps_no_probe_out() -> None:
    with served(TokenStates()) as page, ExitStack() as stack:
        held = []
        for _ in range(MOST_CONNECTIONS):
            line = socket.create_connection(("127.0.0.1", page.port), timeout=PATIENCE)
            line.sendall(b"GET / HT")
            held.append(stack.enter_context(line))
        assert page.get("healthz").status_code == 200
        assert held[0].recv(1) == b""
        held[-1].sendall(PROBE.removeprefix(b"GET / HT"))
        held[-1].close()


def test_a_probe_waits_seconds_behind_a_whole_queue_of_connections_that_are_only_held() -> None:
    # Longer than a reader's 30 seconds: none of them is sent away for its age.
    with served(TokenStates(), patience=FOREVER) as page, ExitStack() as stack:
        for _ in range(2 * MOST_CONNECTIONS):
            line = socket.create_connection(("127.0.0.1", page.port), timeout=PATIENCE)
            stack.enter_context(line)
        assert page.get("healthz").status_code == 200


def test_a_slow_reader_and_a_slow_writer_are_sent_away() -> None:
    shown = fleets.of_many(200)
    with (
        served(shown.states, tokens=shown.tokens, patience=0.1) as page,
        socket.create_connection(("127.0.0.1", page.port), timeout=PATIENCE) as writer,
        socket.create_connection(("127.0.0.1", page.port), timeout=PATIENCE) as reader,
    ):
        with suppress(ConnectionError):  # on a busy machine it is sent away before
            writer.sendall(b"GET / HT")
            assert writer.recv(1) == b""
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with pytest.raises(ConnectionError):
            send_without_end(reader, PROBE.replace(b"/healthz", b"/") * 100)


def test_one_connection_carries_many_requests() -> None:
    with (
        served(TokenStates()) as page,
        socket.create_connection(("127.0.0.1", page.port), timeout=PATIENCE) as line,
    ):
        for _ in range(5):
            line.sendall(PROBE)
            assert line.recv(4096).endswith(b"\r\n\r\nok\n")


def test_a_client_that_goes_away_in_the_middle_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    shown = fleets.of_many(200)
    with served(shown.states, tokens=shown.tokens) as page:
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", page.port)) as line:
                line.sendall(PROBE.replace(b"/healthz", b"/") * 20)
                line.recv(10)
        assert page.get("healthz").status_code == 200
    assert not [record for record in caplog.records if record.name.startswith("rotator")]


def test_a_stop_waits_for_no_reader() -> None:
    shown = fleets.of_many(200)
    with ExitStack() as stack:
        with served(shown.states, tokens=shown.tokens) as page:
            line = stack.enter_context(socket.create_connection(("127.0.0.1", page.port)))
            line.sendall(PROBE.replace(b"/healthz", b"/") * 100)
            line.recv(10)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", page.port))


def test_a_bug_is_told_in_the_log_and_not_to_the_reader(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> float:
        raise ValueError("hunter2")

    with served(TokenStates(), monotonic=broken) as page:
        answer = page.get()
        assert (answer.status_code, answer.text) == (500, "internal error; see the daemon's log\n")
        assert page.get("healthz").status_code == 200
    assert "the page: internal error: ValueError at " in caplog.text
    assert "hunter2" not in caplog.text

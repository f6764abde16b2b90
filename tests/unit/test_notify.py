import json
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from rotator.config.settings import NoticeEvent, Secret, TokenSettings
from rotator.hooks import notify
from rotator.hooks.hooks import HookEvent, Hooks

ROOT = Path(__file__).parents[2]
OCCASION = HookEvent(
    "luna-bot",
    "6d927cbd",
    datetime(2027, 2, 21, 10, 42, tzinfo=UTC),
    ("dotenv:///srv/luna/.env#TOKEN", "dotenv:///srv/backup/.env#TOKEN"),
)
AGAIN = "; the next run sends the notice again"
NOT_DELIVERED = "the notice could not be delivered; check the URL, and that its server is up"
NOT_UNDERSTOOD = "apprise does not understand this URL; compare it with apprise's documentation"

NOTICE = notify.Notice("title", "body", notify.NoticeKind.SUCCESS, NoticeEvent.TEST)


class Receiver(ThreadingHTTPServer):
    """A server of notices; the last part of the path is the status that it answers with."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.notices: list[dict[str, Any]] = []

    def url(self, status: int = 200) -> str:
        return f"json://someone:hunter2@127.0.0.1:{self.server_port}/hook-key/{status}"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        notice = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.notices.append(notice)
        self.send_response(int(self.path.rpartition("/")[2]))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@contextmanager
def a_server_that_trickles() -> Iterator[str]:
    """Send a byte of a header each second, so that no time-out of a socket ever passes."""
    stop = threading.Event()

    def trickle() -> None:
        try:
            connection, _ = listener.accept()
        except OSError:  # nobody came: on a busy machine apprise may be ended before
            return
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
            while not stop.wait(1):
                try:
                    connection.sendall(b"x")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=trickle)
        thread.start()
        yield f"json://127.0.0.1:{listener.getsockname()[1]}/hook-key"
        stop.set()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def hooks(*urls: str) -> Hooks:
    secrets = (Secret(f"here: URL {number}", value=url) for number, url in enumerate(urls, 1))
    return Hooks(TokenSettings("luna-bot", "test", (), notify=tuple(secrets)), os.environ)


def run(*urls: str) -> list[str]:
    made = hooks(*urls)
    return [failure.message for failure in made.run(made.ids, OCCASION)]


def test_a_notice_tells_what_was_renewed(receiver: Receiver) -> None:
    assert run(receiver.url()) == []
    (notice,) = receiver.notices
    assert notice["title"] == "luna-bot: token renewed"
    assert notice["message"].splitlines() == [
        "Token 6d927cbd, valid until 2027-02-21 10:42 UTC",
        "Stored in:",
        "dotenv:///srv/luna/.env#TOKEN",
        "dotenv:///srv/backup/.env#TOKEN",
    ]


def test_a_token_that_is_eternal_or_has_no_id_is_told_too(receiver: Receiver) -> None:
    made = hooks(receiver.url())
    assert made.run(made.ids, HookEvent("luna-bot", None, None, ("dotenv:///a",))) == []
    assert receiver.notices[0]["message"].startswith("Token without an id, valid forever\n")


def test_only_the_urls_that_are_asked_for_get_a_notice(receiver: Receiver) -> None:
    made = hooks(receiver.url(200), receiver.url(201))
    assert made.run(made.ids[1:], OCCASION) == []
    assert len(receiver.notices) == 1


def test_a_url_that_fails_is_named_by_its_place_and_the_others_get_their_notice(
    receiver: Receiver,
) -> None:
    made = hooks(receiver.url(500), "no-such-service://hunter2/hook-key", receiver.url())
    failed = made.run(made.ids, OCCASION)
    assert [failure.hook_id for failure in failed] == list(made.ids[:2])
    assert [failure.message for failure in failed] == [
        f"here: URL 1: {NOT_DELIVERED}{AGAIN}",
        f"here: URL 2: {NOT_UNDERSTOOD}{AGAIN}",
    ]
    assert len(receiver.notices) == 2


def test_a_url_that_cannot_work_is_a_failure() -> None:
    messages = run("json://127.0.0.1:1", "mailto://", "json://a b,json://c")
    assert [message[:13] for message in messages] == [f"here: URL {n}: " for n in (1, 2, 3)]
    assert "a b" not in str(messages)


def test_a_url_shows_in_no_log_whatever_happens(
    receiver: Receiver, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(1)
    urls = [receiver.url(), receiver.url(403), "json://x:hunter2@127.0.0.1:1/hook-key", "?hunter2"]
    made = hooks(*urls)
    messages = [failure.message for failure in made.run(made.ids, OCCASION)]
    made.notify(notify.Notice("title", "body", notify.NoticeKind.FAILURE, NoticeEvent.FAILED))
    out, err = capfd.readouterr()
    written = "\n".join([*messages, repr(made), caplog.text, out, err])
    assert len(messages) == 3
    assert [word for word in ("hunter2", "hook-key", "127.0.0.1") if word in written] == []


def test_a_notice_of_another_kind_is_sent_as_well_as_can_be(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    title, body = "sol-bot: not renewed", "Why:\nno answer"
    notice = notify.Notice(title, body, notify.NoticeKind.WARNING, NoticeEvent.FAILED)
    hooks(receiver.url(404), receiver.url()).notify(notice)
    assert [(n["title"], n["message"], n["type"]) for n in receiver.notices] == [
        ("sol-bot: not renewed", "Why:\nno answer", "warning")
    ] * 2
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.WARNING, f"here: URL 1: {NOT_DELIVERED}")
    ]


def test_nobody_waits_long_for_a_server_that_never_ends_its_answer(receiver: Receiver) -> None:
    timeout = timedelta(seconds=2)
    while not receiver.notices:
        timeout *= 2  # on a busy machine apprise needs more time to start
        with a_server_that_trickles() as url:
            secrets = [Secret("here", value=url), Secret("there", value=receiver.url())]
            told = notify.send_notice(secrets, NOTICE, os.environ, timeout)
    assert told == [
        f"here: no answer within {timeout.seconds} s; check the URL, and that its server is up",
        None,
    ]
    assert len(receiver.notices) == 1
    assert timedelta() < notify.TIMEOUT <= timedelta(seconds=20)


def test_a_notice_is_sent_although_modules_of_the_same_names_lie_around(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "apprise.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    assert run(receiver.url()) == []


def test_an_apprise_that_does_not_work_is_told(tmp_path: Path) -> None:
    (tmp_path / "apprise.py").write_text("raise SystemExit(9)")
    secret = Secret("here: URL 1", value="json://127.0.0.1")
    told = notify.send_notice([secret], NOTICE, {**os.environ, "PYTHONPATH": str(tmp_path)})
    assert told == ["here: URL 1: apprise broke off with the exit status 9; reinstall it"]


def test_a_word_of_the_loader_is_no_answer(receiver: Receiver) -> None:
    environ = {**os.environ, "PYTHONWARNINGS": "nonsense", "LD_PRELOAD": "/no/such/lib.so"}
    secret = Secret("here", value=receiver.url())
    assert notify.send_notice([secret], NOTICE, environ) == [None]


def test_without_apprise_the_package_to_install_is_named() -> None:
    program = (
        "import sys; from rotator.hooks import notify; from rotator.config.settings import Secret\n"
        "notice = notify.Notice('title', 'body', notify.NoticeKind.SUCCESS, 'test')\n"
        "print(notify.send_notice([Secret('here', value='json://hunter2')], notice, {})[0])\n"
        "try: notify.require_apprise('there')\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", program],  # -S: without what was installed
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    text = "notices need the package apprise: pip install 'nocturna-rotator[notify]'"
    assert done.stdout.splitlines() == [f"here: {text}", f"MissingPackageError there: {text}"]


def test_apprise_is_looked_for_without_being_loaded() -> None:
    program = (
        "import sys; from rotator.hooks import notify; notify.require_apprise('');"
        " print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "apprise" not in done.stdout.split()

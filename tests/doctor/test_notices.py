"""What the doctor says of notices, without sending one."""

import socket
from collections.abc import Iterator

import pytest

from tests.doctor.clinic import Clinic, bad, message


@pytest.fixture(autouse=True)
def _healthy(clinic: Clinic) -> None:
    clinic.put(clinic.api.issue(60))


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_server_that_takes_connections_is_fine(clinic: Clinic, port: int) -> None:
    assert bad(clinic.examine(toml=f'notify = ["json://127.0.0.1:{port}/hunter2"]')) == []


@pytest.mark.parametrize("url", ["slak://hunter2/a", "slack://hunter2", "tgram://x"])
def test_a_url_that_apprise_does_not_understand_is_a_problem(clinic: Clinic, url: str) -> None:
    found = clinic.examine(toml=f'notify = ["{url}"]')
    assert bad(found) == [("settings", "problem")]
    assert "notify: URL 1: apprise does not understand this URL" in message(found)
    assert "hunter2" not in message(found)


def test_a_server_that_is_down_is_a_problem(clinic: Clinic, port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        down = server.getsockname()[1]
    urls = f'"json://127.0.0.1:{port}", "json://hunter2@127.0.0.1:{down}"'
    found = clinic.examine(toml=f"notify = [{urls}]")
    assert bad(found) == [("hooks", "problem")]
    assert "notify: URL 2: its server does not take connections" in message(found)
    assert "hunter2" not in message(found)

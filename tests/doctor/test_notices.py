"""What the doctor says of notices, without sending one."""

import socket
from collections.abc import Iterator

import pytest

from rotator.cli.doctor.findings import Result
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


def test_a_url_that_apprise_does_not_understand_is_a_problem(clinic: Clinic) -> None:
    found = clinic.examine(toml='notify = ["slak://hunter2/a", "slack://hunter2", "tgram://x"]')
    assert bad(found) == [("settings", "problem")] * 3
    for number, each in enumerate((each for each in found if each.result is Result.PROBLEM), 1):
        assert f"notify: URL {number}: apprise does not understand this URL" in each.message
        assert "hunter2" not in each.message


def test_a_server_that_is_down_is_a_problem(clinic: Clinic, port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        down = server.getsockname()[1]
    urls = f'"json://127.0.0.1:{port}", "json://hunter2@127.0.0.1:{down}"'
    found = clinic.examine(toml=f"notify = [{urls}]")
    assert bad(found) == [("hooks", "problem")]
    assert "notify: URL 2: its server does not take connections" in message(found)
    assert "hunter2" not in message(found)

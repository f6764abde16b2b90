import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.waiting import PATIENCE

from .client import Client

COMMAND = [sys.executable, "-m", "rotator.sandbox"]


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    with subprocess.Popen(
        [*COMMAND, *arguments],
        env=os.environ | {"NOCTURNA_ADMIN_PASSWORD": "hunter22"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        yield process, json.loads(process.stdout.readline())


def test_it_prints_one_line_of_json_and_serves_until_stdin_ends() -> None:
    with running("--call-delay", "1", "--login-cpu", "1") as (process, printed):
        assert set(printed) == {"url", "admin_email"}
        client = Client(printed["url"])
        assert client.log_in(printed["admin_email"], "hunter22").status == 200
        client.close()
        output, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, output, errors) == (0, "", "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_leaves_with_0_when_asked_to(number: signal.Signals) -> None:
    with running() as (process, _):
        process.send_signal(number)
        assert process.wait(timeout=PATIENCE) == 0
        assert process.stderr
        assert process.stderr.read() == ""


def test_a_port_in_use_is_an_error_of_one_line() -> None:
    with running() as (_, printed):
        port = printed["url"].removesuffix("/api").rpartition(":")[2]
        second = subprocess.run(
            [*COMMAND, "--port", port],
            env=os.environ | {"NOCTURNA_ADMIN_PASSWORD": "hunter22"},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    assert (second.returncode, second.stdout, second.stderr.count("\n")) == (1, "", 1)
    assert f"port {port}" in second.stderr


@pytest.mark.parametrize("value", [None, ""])
def test_it_wants_a_password(value: str | None) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "NOCTURNA_ADMIN_PASSWORD"}
    environment |= {} if value is None else {"NOCTURNA_ADMIN_PASSWORD": value}
    done = subprocess.run(
        COMMAND, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "NOCTURNA_ADMIN_PASSWORD" in done.stderr

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.waiting import PATIENCE

from .client import Client

COMMAND = [sys.executable, "-m", "rotator.embedded_api"]


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


def test_it_serves_in_the_background_of_a_terminal() -> None:
    fd, inner = pty.openpty()
    job = 'set -m; "$@" & echo $!; wait $!; echo "ended with $?"'
    with subprocess.Popen(
        ["setsid", "--ctty", "bash", "-c", job, "bash", *COMMAND],  # noqa: S607 - any bash
        env=os.environ | {"NOCTURNA_ADMIN_PASSWORD": "hunter22"},
        stdin=inner,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as shell:
        assert shell.stdout
        pid, printed = int(shell.stdout.readline()), json.loads(shell.stdout.readline())
        os.write(fd, b"a line that is for the shell\n")
        client = Client(printed["url"])
        assert client.log_in(printed["admin_email"], "hunter22").status == 200
        client.close()
        os.kill(pid, signal.SIGTERM)
        assert shell.stdout.readline() == "ended with 0\n"
    os.close(inner)
    os.close(fd)


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
    assert second.stderr == f"cannot serve on port {port}: Address already in use\n"


@pytest.mark.parametrize("port", ["70000", "-1"])
def test_a_port_that_cannot_be_is_an_error_of_one_line(port: str) -> None:
    done = subprocess.run(
        [*COMMAND, "--port", port],
        env=os.environ | {"NOCTURNA_ADMIN_PASSWORD": "hunter22"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"cannot serve on port {port}: expected a port from 0 to 65535\n"


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

"""`rotator exec` in a terminal, as a job of a shell: Ctrl-C, Ctrl-Z and fg as without it."""

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.executing.helpers import put
from tests.support.process import ROTATOR, Runner
from tests.support.sandbox import Sandbox
from tests.support.waiting import PATIENCE

COUNT = """
import signal, sys, time
got = []
signal.signal(signal.SIGINT, lambda *_: got.append(1))
print("ready", flush=True)
while not got:
    time.sleep(0.01)
time.sleep(0.2)
sys.exit(40 + len(got))
"""


class Screen:
    """A shell with job control in a terminal of its own."""

    def __init__(self, rotator: Runner) -> None:
        self._shown = ""
        self._fd, inner = pty.openpty()
        path = f"{ROTATOR.parent}:{os.environ['PATH']}"
        self._process = subprocess.Popen(
            ["setsid", "--ctty", "bash", "--norc", "--noediting", "-i"],  # noqa: S607 - any bash
            cwd=rotator.folder,
            env={**os.environ, **rotator.env, "PATH": path, "PS1": "", "TERM": "dumb"},
            stdin=inner,
            stdout=inner,
            stderr=inner,
        )
        os.close(inner)

    def type(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def wait_for(self, text: str) -> None:
        """Wait until this text is shown, and forget all up to it."""
        end = time.monotonic() + PATIENCE
        while text not in self._shown:
            readable, _, _ = select.select([self._fd], [], [], max(0, end - time.monotonic()))
            assert readable, f"no {text!r} in {self._shown!r}"
            self._shown += os.read(self._fd, 4096).decode()
        self._shown = self._shown.partition(text)[2]

    def close(self) -> str:
        os.close(self._fd)  # which hangs up
        self._process.wait(PATIENCE)
        return self._shown


@pytest.fixture
def screen(rotator: Runner, api: Sandbox) -> Iterator[Screen]:
    put(rotator, api.issue(days=60))
    screen = Screen(rotator)
    yield screen
    rotator.transcript.add("exec in a terminal", screen.close())


def test_ctrl_c_reaches_the_program_once(rotator: Runner, screen: Screen) -> None:
    (rotator.folder / "count.py").write_text(COUNT)
    screen.type(f"rotator exec -- {sys.executable} count.py; echo status=$?=\n")
    screen.wait_for("ready")
    screen.type("\x03")
    screen.wait_for("status=41=")


def test_ctrl_z_and_fg_stop_and_continue_the_job(screen: Screen) -> None:
    screen.type("rotator exec -- sh -c 'echo ready; exec cat'; echo status=$?=\n")
    screen.wait_for("\nready")
    screen.type("one\n")
    screen.wait_for("one\r\none")
    screen.type("\x1a")
    screen.wait_for("Stopped")
    screen.wait_for(f"status={128 + signal.SIGTSTP}=")
    screen.type("fg; echo status=$?=\n")
    screen.wait_for("\nrotator exec -- sh -c")
    screen.type("two\n")
    screen.wait_for("two\r\ntwo")
    screen.type("\x04")
    screen.wait_for("status=0=")


def test_a_background_job_that_reads_is_stopped_until_it_is_in_front(screen: Screen) -> None:
    screen.type("rotator exec -- cat &\n")
    screen.type("until jobs | grep Stopp.d; do sleep 0.1; done; fg; echo status=$?=\n")
    screen.wait_for("\nrotator exec -- cat\r\n")
    screen.type("one\n")
    screen.wait_for("one\r\none")
    screen.type("\x04")
    screen.wait_for("status=0=")


def test_a_restart_is_told_and_done_where_the_terminal_stops_jobs_that_write_from_behind(
    rotator: Runner, api: Sandbox, screen: Screen
) -> None:
    screen.type("stty tostop\n")
    screen.type("rotator exec --settle 1s -- sh -c 'echo ready; exec cat'; echo status=$?=\n")
    screen.wait_for("\nready")
    put(rotator, api.issue(days=61))
    screen.wait_for("the program is restarted")
    screen.wait_for("\nready")
    screen.type("\x04")
    screen.wait_for("status=0=")

"""`rotator exec` as process 1, as in a container."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.executing.conftest import permitted
from tests.executing.helpers import BOT, SOON, child_of, has, put
from tests.support.process import ROTATOR, Runner, Running
from tests.support.sandbox import Sandbox
from tests.support.waiting import PATIENCE

SPACES = ("--pid", "--fork", "--mount-proc", "--kill-child")
ORPHANS = (  # is ready when all three have ended, and none of them is waiting to be buried
    "for i in 1 2 3; do (setsid sh -c 'echo $$ >> orphans' &); done;"
    " until [ $(cat orphans 2>&1 | wc -w) = 3 ]; do sleep 0.1; done;"
    " while ps -eo stat= | grep -q Z; do sleep 0.1; done;"
    " trap 'exit 5' TERM; echo ready >&2; while :; do sleep 0.1; done"
)
pytestmark = pytest.mark.skipif(not permitted(*SPACES), reason="no right to a process namespace")


@contextmanager
def as_process_1(rotator: Runner, *arguments: str) -> Iterator[tuple[Running, Callable[[], int]]]:
    """Start the command in a namespace of its own; yield it, and what tells its number outside."""
    process = subprocess.Popen(
        ["unshare", *SPACES, ROTATOR, *arguments],  # noqa: S607 - any unshare
        cwd=rotator.folder,
        env={**os.environ, **rotator.env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    running = Running(process)
    try:
        yield running, lambda: child_of(running)
    finally:
        process.kill()
        rotator.transcript.add("exec as process 1", running.result().err)


def test_process_1_buries_orphans_and_passes_sigterm_on(rotator: Runner, api: Sandbox) -> None:
    put(rotator, api.issue(days=60))
    with as_process_1(rotator, "exec", "--", "sh", "-c", ORPHANS) as (running, one):
        running.wait_for("ready")
        os.kill(one(), signal.SIGTERM)
        assert running.process.wait(PATIENCE) == 5


def test_process_1_restarts_the_program(rotator: Runner, api: Sandbox) -> None:
    put(rotator, api.issue(days=60))
    with as_process_1(rotator, "exec", *SOON, *BOT) as (running, one):
        running.wait_for("has ")
        put(rotator, new := api.issue(days=61))
        running.wait_for(has(new))
        os.kill(one(), signal.SIGTERM)
        assert running.process.wait(PATIENCE) == 143


def test_a_sigterm_that_comes_before_the_program_is_started_is_not_lost(rotator: Runner) -> None:
    os.mkfifo(config := rotator.folder / "settings")
    rotator.env = {"ROTATOR_CONFIG": str(config)}
    with as_process_1(rotator, "exec", "--", "sleep", "1000") as (running, one):
        writer = when_it_is_read(config)
        os.kill(one(), signal.SIGTERM)
        os.write(writer, b'[[token]]\nname = "luna"\nstores = ["dotenv:.env"]\n')
        os.close(writer)
        assert running.process.wait(PATIENCE) == 143


def when_it_is_read(fifo: Path) -> int:
    """Wait until somebody reads it, who then waits for what is written; return where to write."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # nobody does
            assert time.monotonic() < end
            time.sleep(0.01)

"""`rotator exec` as process 1, as in a container."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rotator.sandbox import Sandbox
from tests.executing.conftest import permitted
from tests.executing.helpers import BOT, SOON, has, put
from tests.support.process import ROTATOR, Runner, Running

SPACES = ("--pid", "--fork", "--mount-proc", "--kill-child")
ORPHANS = (  # is ready when all three have ended, and none of them is waiting to be buried
    "for i in 1 2 3; do (setsid sh -c 'echo $$ >> orphans' &); done;"
    " until [ $(cat orphans 2>&1 | wc -w) = 3 ]; do sleep 0.1; done;"
    " while ps -eo stat= | grep -q Z; do sleep 0.1; done;"
    " trap 'exit 5' TERM; echo ready >&2; while :; do sleep 0.1; done"
)
pytestmark = pytest.mark.skipif(not permitted(*SPACES), reason="no right to a process namespace")


@contextmanager
def as_process_1(rotator: Runner, *arguments: str) -> Iterator[tuple[Running, int]]:
    """Start the command in a namespace of its own; yield it with its number outside."""
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
        running.wait_for("ready")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        yield running, int(children.split()[0])
    finally:
        process.kill()
        rotator.transcript.add("exec as process 1", running.result().err)


def test_process_1_buries_orphans_and_passes_sigterm_on(rotator: Runner, api: Sandbox) -> None:
    put(rotator, api.issue(days=60))
    with as_process_1(rotator, "exec", "--", "sh", "-c", ORPHANS) as (running, one):
        os.kill(one, signal.SIGTERM)
        assert running.process.wait(10) == 5


def test_process_1_restarts_the_program(rotator: Runner, api: Sandbox) -> None:
    put(rotator, api.issue(days=60))
    bot = (*BOT[:-1], f"echo ready >&2; {BOT[-1]}")
    with as_process_1(rotator, "exec", *SOON, *bot) as (running, one):
        put(rotator, new := api.issue(days=61))
        running.wait_for(has(new))
        os.kill(one, signal.SIGTERM)
        assert running.process.wait(10) == 143

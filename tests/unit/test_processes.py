"""Answers of processes; tests/unit/test_hooks_in_time.py has what they tell people."""

import os
import signal
import sys
from datetime import timedelta

import pytest

from rotator.hooks.processes import ProcessResult, run_process
from tests.support.waiting import PATIENCE

LARGEST = 1 << 20
# F_SETPIPE_SZ: it ends before anybody has read the first byte.
AT_ONCE = (
    "import fcntl, os, sys; fcntl.fcntl(1, 1031, 1 << 20); os.write(1, b'x' * int(sys.argv[1]))"
)


def answer(*command: str, given: bytes = b"") -> ProcessResult:
    timeout = timedelta(seconds=PATIENCE)
    return run_process(command, os.environ, timeout, given, largest_answer=LARGEST)


@pytest.mark.parametrize("size", [0, 1, LARGEST - 1, LARGEST])
def test_an_answer_is_read_to_its_end(size: int) -> None:
    assert answer(sys.executable, "-c", AT_ONCE, str(size)) == (0, b"x" * size, False)


def test_an_answer_is_what_stands_in_stdout_alone() -> None:
    assert answer("sh", "-c", "cat; echo no >&2; exit 3", given=b"yes") == (3, b"yes", False)


def test_an_answer_is_not_awaited_from_what_was_left_behind() -> None:
    result = answer("sh", "-c", "sleep 9999 & echo $!")
    os.kill(int(result.output), signal.SIGKILL)
    assert result.status == 0


def test_an_answer_without_end_is_told_from_one_that_is_late() -> None:
    result = answer("yes")
    assert (result.status, result.cut) == (None, True)

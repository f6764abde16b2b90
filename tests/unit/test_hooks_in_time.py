"""Hooks that do not end, and what they leave behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from rotator.config.settings import TokenSettings
from rotator.hooks.hooks import HookEvent, HookFailure, Hooks
from tests.support.waiting import FOREVER, PATIENCE, wait_until

SHORT = timedelta(seconds=0.3)
OCCASION = HookEvent("luna-bot", None, None, ())


def run(command: Sequence[str], timeout: timedelta) -> list[HookFailure]:
    token = TokenSettings("luna-bot", "test", (), hooks=(tuple(command),), hook_timeout=timeout)
    hooks = Hooks(token, os.environ)
    return hooks.run(hooks.ids, OCCASION)


def cut_off(script: str, path: Path) -> str:
    """Run a hook that does not end in time, but lives until `path` is there; return its failure."""
    timeout = SHORT
    while True:
        (failure,) = run(["sh", "-c", script, "sh", str(path)], timeout)
        assert f"did not end within {timeout.total_seconds():g} s" in failure.message
        if path.exists():
            return failure.message
        timeout *= 2  # on a busy machine a shell needs more time for its first line


def pid_in(path: Path) -> int:
    wait_until(lambda: path.exists() and path.read_text().endswith("\n"))
    return int(path.read_text())


def lives(pid: int) -> bool:
    """Tell whether it runs; one that waits to be reaped does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_a_hook_that_does_not_end_is_ended_with_its_children(tmp_path: Path) -> None:
    script = 'sleep 9999 & echo $! > "$1"; wait'
    message = cut_off(script, tmp_path / "pid")
    assert message.endswith(" s and was killed; the next run tries it again")
    assert not lives(pid_in(tmp_path / "pid"))


def test_children_that_outlive_the_hook_are_ended_with_it(tmp_path: Path) -> None:
    script = '(trap "" TERM; sleep 9999) & echo $! > "$1"; wait'
    start = time.monotonic()
    cut_off(script, tmp_path / "pid")
    assert time.monotonic() - start > 5
    pid = pid_in(tmp_path / "pid")
    wait_until(lambda: not lives(pid))


def test_a_hook_may_tidy_up_when_its_time_is_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    script = 'trap "sleep 0.2; touch $1; echo bye; exit 0" TERM; while :; do sleep 0.01; done'
    assert "its output is above" in cut_off(script, tmp_path / "tidy")
    last = caplog.records[-1]
    assert (last.levelname, last.getMessage()) == ("ERROR", "luna-bot: hook 1 (sh): bye")


@pytest.mark.parametrize("line", ["sleep 9999", "yes"], ids=["silent", "noisy"])
def test_a_hook_may_leave_a_program_running_that_holds_its_output(
    tmp_path: Path, line: str
) -> None:
    script = f'echo started; {line} & echo $! > "$1"; exit 0'
    start = time.monotonic()
    assert run(["sh", "-c", script, "sh", str(tmp_path / "pid")], timedelta(seconds=FOREVER)) == []
    assert time.monotonic() - start < PATIENCE
    pid = pid_in(tmp_path / "pid")
    if line.startswith("sleep"):
        assert lives(pid)
        os.kill(pid, signal.SIGKILL)


def test_a_hook_that_closes_its_output_is_waited_for(tmp_path: Path) -> None:
    script = 'exec >&- 2>&-; sleep 0.2; : > "$1"'
    assert run(["sh", "-c", script, "sh", str(tmp_path / "done")], timedelta(minutes=1)) == []
    assert (tmp_path / "done").exists()


def test_a_run_without_hooks_loads_nothing_heavy() -> None:
    program = (
        "import sys; from rotator.hooks.hooks import *;"
        "hooks = Hooks(TokenSettings('a', 'test', (), hooks=(('a',),)), {});"
        "assert hooks.run([], HookEvent('a', None, None, ())) == [];"
        "print({'apprise', 'asyncio'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"

"""Real processes that want the same at one moment; tests/rotation/test_races.py has the threads."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.process import Runner
from tests.support.sandbox import Sandbox
from tests.support.transcript import Transcript
from tests.support.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
CROWD = 20


class Crowd:
    """Twenty processes of one command, as often as is asked for."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def go(self) -> list[int]:
        """Start them, and return their exit statuses."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        statuses: list[int] = json.loads(self._process.stdout.readline())
        return statuses


@contextmanager
def crowd(rotator: Runner, transcript: Transcript, *arguments: str, **env: str) -> Iterator[Crowd]:
    # Each of a thousand processes would save its own coverage, which is that of any other run.
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE")}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.crowd", str(CROWD), *arguments],
        cwd=rotator.folder,
        env={**inherited, **rotator.env, **env, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Crowd(process)
        assert process.stdin
        process.stdin.close()
    transcript.add(f"crowd of rotator {' '.join(arguments)}", crowd_log(rotator))


def crowd_log(rotator: Runner) -> str:
    return (rotator.folder / "crowd.log").read_text()


@pytest.fixture
def rounds(long: bool) -> int:  # noqa: FBT001 - a fixture
    return 25 if long else 1


def test_of_twenty_forced_rotations_one_new_token_survives_each_round(
    rotator: Runner, api: Sandbox, transcript: Transcript, rounds: int
) -> None:
    rotator.write_env(api.issue(days=3))
    before = {row.id for row in api.tokens}
    with crowd(rotator, transcript, "rotate", "--force", ROTATOR_RETIRE="now") as rivals:
        for _ in range(rounds):
            assert rivals.go() == [0] * CROWD, crowd_log(rotator)
            (survivor,) = api.live_tokens()
            assert survivor.id not in before
            before = {row.id for row in api.tokens}
            assert rotator.env_file.read_text().count(survivor.secret) == 1
    text = rotator.env_file.read_text()
    assert (text.startswith("A=1\n"), text.endswith("\nB=2\n")) == (True, True)
    assert "intent=" not in text
    assert not [path for path in rotator.folder.iterdir() if ".rotator-" in path.name]


def test_of_twenty_that_find_a_token_due_one_renews_it(
    rotator: Runner, api: Sandbox, transcript: Transcript, rounds: int
) -> None:
    with crowd(rotator, transcript, "rotate") as rivals:
        for _ in range(rounds):
            due = api.issue(days=3)
            rotator.write_env(due)
            known = len(api.tokens)
            assert rivals.go() == [0] * CROWD, crowd_log(rotator)
            assert len(api.tokens) == known + 1
            assert due not in rotator.env_file.read_text()


@pytest.mark.parametrize("second", [("daemon",), ("rotate", "--force")], ids=["daemon", "force"])
def test_a_daemon_and_another_rotator_leave_one_new_token(
    rotator: Runner, api: Sandbox, second: tuple[str, ...]
) -> None:
    rotator.write_env(api.issue(days=3))
    with (
        rotator.started("daemon", ROTATOR_RETIRE="now") as first,
        rotator.started(*second, ROTATOR_RETIRE="now") as other,
    ):
        first.wait_for("next look at")
        if second == ("daemon",):
            other.wait_for("next look at")
            assert other.stop() == 0
        else:
            assert other.process.wait(PATIENCE) == 0
        assert first.stop() == 0
    (survivor,) = api.live_tokens()
    assert survivor.secret in rotator.env_file.read_text()

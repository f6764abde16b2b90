"""Those who start the rotators of a matrix: a few, each for one at a time."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock
from types import TracebackType
from typing import Self

from tests.crash.forked import Job
from tests.support.process import Result

_SRC = Path(__file__).parents[2]
Starter = subprocess.Popen[str]


class Crew:
    """Starts jobs, with these modules loaded; more at the same time make it larger."""

    def __init__(self, *modules: str) -> None:
        self._modules = modules
        self._all: list[Starter] = []
        self._idle: SimpleQueue[Starter] = SimpleQueue()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for starter in self._all:
            with starter:  # which closes its stdin, and waits
                pass

    def start(self, job: Job) -> "Running":
        try:
            starter = self._idle.get_nowait()
        except Empty:
            starter = self._hire()
        return Running(job, starter, self._idle)

    def _hire(self) -> Starter:
        ours = ("COVERAGE_", "NOCTURNA", "ROTATOR")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
        starter = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.forked", *self._modules],
            cwd=_SRC,
            env=kept,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._all.append(starter)
        return starter


class Running:
    """A process; its starter is free again when its end is known."""

    def __init__(self, job: Job, starter: Starter, idle: SimpleQueue[Starter]) -> None:
        assert starter.stdin
        assert starter.stdout
        self._job = job
        self._answers = starter.stdout
        self._starter = starter
        self._idle = idle
        starter.stdin.write(json.dumps(job._replace(environ=dict(job.environ))) + "\n")
        starter.stdin.flush()
        self._pid = int(self._answers.readline())
        self._status: int | None = None
        self._waiting = Lock()

    @property
    def pid(self) -> int:
        return self._pid

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)

    def wait(self) -> int:
        """Return the exit status, negative after a signal; many may ask."""
        with self._waiting:
            if self._status is None:
                self._status = int(self._answers.readline())
                self._idle.put(self._starter)
        return self._status

    def result(self) -> Result:
        return Result(self.wait(), *(path.read_text() for path in self._job.outputs))

"""Processes of the command that are forked, not started: see `tests.support.forked`."""

import json
import os
import select
import signal
import subprocess
import sys
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import IO, Self

from tests.support.forked import Job
from tests.support.process import Result

ALL_STORES = (
    *("backends.aws.store", "backends.kubernetes.store", "backends.vault.store"),
    *("boto3", "botocore.session", "hvac", "yaml"),
)
_SRC = Path(__file__).parents[2]
_OURS = ("COVERAGE_", "NOCTURNA", "ROTATOR")
Starter = subprocess.Popen[str]


class Crew:
    """Starts jobs, with these modules loaded beside those of the command."""

    def __init__(self, *modules: str) -> None:
        self._modules = modules
        self._starter: Starter | None = None
        self._starting = Lock()
        self.environ = {k: v for k, v in os.environ.items() if not k.startswith(_OURS)}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._starter:
            with self._starter:  # which closes its stdin, and waits
                pass

    def start(self, job: Job) -> "Running":
        """Start a job, whose environment is added to that of the tests."""
        return Running(job, *self._start(job._replace(environ={**self.environ, **job.environ})))

    def start_piped(
        self, folder: Path, arguments: Sequence[str], environ: Mapping[str, str]
    ) -> "Piped":
        """Start a command with pipes for its output; `environ` is all that it has."""
        pipes = [os.pipe() for _ in range(2)]
        job = Job(str(folder), arguments, dict(environ), [_path(write) for _, write in pipes])
        started = self._start(job)
        for _, write in pipes:
            os.close(write)
        return Piped(job, *started, *(read for read, _ in pipes))

    def _start(self, job: Job) -> tuple[int, int]:
        """Return the pid, and a pipe that tells the exit status."""
        read, write = os.pipe()
        with self._starting:
            self._starter = starter = self._starter or self._hire()
            assert starter.stdin
            assert starter.stdout
            starter.stdin.write(json.dumps((job, _path(write))) + "\n")
            starter.stdin.flush()
            answer = starter.stdout.readline()
            assert answer.strip().isdigit(), answer + starter.stdout.read()
        os.close(write)
        return int(answer), read

    def _hire(self) -> Starter:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.support.forked", *self._modules],
            cwd=_SRC,
            env=self.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,  # a pipe as well, which is what Python takes a child's for
            text=True,
        )


class Running:
    """A process; many may wait for its end."""

    def __init__(self, job: Job, pid: int, end: int) -> None:
        self._job = job
        self._end = end
        weakref.finalize(self, os.close, end)
        self._reading = Lock()
        self.pid = pid
        self.returncode: int | None = None

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def poll(self) -> int | None:
        with suppress(TimeoutError):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status, negative after a signal; wait so many seconds at most."""
        ended = select.poll()
        ended.register(self._end, select.POLLIN)
        if self.returncode is None and not ended.poll(None if timeout is None else timeout * 1000):
            raise TimeoutError(f"{self._job.arguments} runs for more than {timeout} s")
        with self._reading:
            if self.returncode is None:
                self.returncode = int(os.read(self._end, 64))
        return self.returncode

    def result(self) -> Result:
        return Result(self.wait(), *(path.read_text() for path in self._job.files))


class Piped(Running):
    """A process whose output is read while it runs."""

    def __init__(self, job: Job, pid: int, end: int, out: int, err: int) -> None:
        super().__init__(job, pid, end)
        self.stdout: IO[str] = open(out, encoding="utf-8")  # noqa: SIM115 - by its number
        self.stderr: IO[str] = open(err, encoding="utf-8")  # noqa: SIM115 - (the same)


def _path(pipe: int) -> str:
    """Return where another process finds our end of a pipe."""
    return f"/proc/{os.getpid()}/fd/{pipe}"

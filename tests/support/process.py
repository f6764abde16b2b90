"""The installed `rotator`, started as a process; all that it writes goes into the transcript."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from tests.support.sandbox import Sandbox
from tests.support.transcript import Transcript
from tests.support.waiting import PATIENCE

ROTATOR = Path(sys.executable).with_name("rotator")
_AT_START = ("LANG", "LC_", "LOCPATH", "PYTHON", "TZ")  # what Python looks at when it starts


@dataclass(frozen=True)
class Result:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever the command printed
        return json.loads(self.out)


class Process(Protocol):
    """What a test does with a process; `subprocess.Popen` is one."""

    @property
    def pid(self) -> int: ...
    @property
    def stdout(self) -> IO[str] | None: ...
    @property
    def stderr(self) -> IO[str] | None: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int, /) -> None: ...
    def kill(self) -> None: ...


Fork = Callable[[Path, Sequence[str], Mapping[str, str]], Process]


class Runner:
    """Runs commands in a folder, with the settings of one token in the environment.

    `fork` starts them five times as fast as Python does, where nothing depends on its start.
    """

    def __init__(self, folder: Path, transcript: Transcript, fork: Fork | None = None) -> None:
        self.folder = folder
        self.transcript = transcript
        self.env: dict[str, str] = {}
        self._fork = fork

    def use(self, api: Sandbox, *stores: str) -> None:
        """Point the settings at an API, and at stores (a `.env` in the folder by default)."""
        password = self.folder / "admin-password"
        password.write_text(f"{api.admin_password}\n")
        password.chmod(0o600)
        self.env |= {
            "NOCTURNA_API_URL": api.url,
            "NOCTURNA_ADMIN_EMAIL": api.admin_email,
            "NOCTURNA_ADMIN_PASSWORD_FILE": str(password),
            "ROTATOR_STORE": " ".join(stores or ("dotenv:.env",)),
        }

    @property
    def env_file(self) -> Path:
        return self.folder / ".env"

    def write_env(self, token: str, before: str = "A=1\n", after: str = "B=2\n") -> None:
        self.env_file.write_text(f"{before}NOCTURNA_SERVICE_TOKEN={token}\n{after}")
        self.env_file.chmod(0o600)

    @contextmanager
    def started(self, *arguments: str, **changes: str) -> Iterator["Running"]:
        """Start a command; it is killed at the end, and what it wrote is kept."""
        running = Running(self._start(arguments, changes))
        try:
            yield running
        finally:
            running.kill()
            self._keep(arguments, running)

    def __call__(self, *arguments: str, **changes: str) -> Result:
        return self._end(arguments, self._start(arguments, changes))

    def installed(self, *arguments: str, **changes: str) -> Result:
        """Run the installed command itself."""
        return self._end(arguments, self._popen(arguments, changes))

    def in_shell(self, line: str) -> Result:
        """Run a line of `sh` in which `rotator` is the command under test."""
        path = f"{ROTATOR.parent}:{os.environ['PATH']}"
        done = subprocess.run(
            ["sh", "-c", line],  # noqa: S607 - any sh
            cwd=self.folder,
            env={**os.environ, **self.env, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        self.transcript.add(line, done.stdout + done.stderr)
        return Result(done.returncode, done.stdout, done.stderr)

    def _start(self, arguments: Sequence[str], changes: Mapping[str, str]) -> Process:
        environ = self._environ(changes)
        at_start = {key: value for key, value in environ.items() if key.startswith(_AT_START)}
        if self._fork and all(os.environ.get(key) == value for key, value in at_start.items()):
            return self._fork(self.folder, arguments, environ)
        return self._popen(arguments, changes)

    def _popen(
        self, arguments: Sequence[str], changes: Mapping[str, str]
    ) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [ROTATOR, *arguments],
            cwd=self.folder,
            env=self._environ(changes),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _environ(self, changes: Mapping[str, str]) -> dict[str, str]:
        inherited = {
            k: v for k, v in os.environ.items() if not k.startswith(("NOCTURNA", "ROTATOR"))
        }
        return {**inherited, **self.env, **changes}

    def _end(self, arguments: Sequence[str], process: Process) -> Result:
        running = Running(process)
        running.process.wait(PATIENCE)
        return self._keep(arguments, running)

    def _keep(self, arguments: Sequence[str], running: "Running") -> Result:
        result = running.result()
        name = f"rotator {' '.join(arguments)}"
        self.transcript.processes += 1
        self.transcript.add(f"{name}: stdout", result.out)
        self.transcript.add(f"{name}: stderr", result.err)
        self.transcript.add(f"{name}: arguments", "\0".join(arguments))
        return result


class Running:
    """A command that runs; its output is read all the time, so that no pipe fills up."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self._new_line = threading.Condition()
        self._out: list[str] = []
        self._readers = [
            threading.Thread(target=self._read_err, daemon=True),
            threading.Thread(target=self._read_out, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def wait_for(self, text: str) -> str:
        """Wait until a line with this text stands on stderr, and return it."""

        def found() -> str | None:
            return next((line for line in self.lines if text in line), None)

        with self._new_line:
            line = self._new_line.wait_for(found, PATIENCE)
        assert line, f"no {text!r} in {self.lines}"
        return line

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        """Kill it together with its children, which would keep its pipes open for ever."""
        if self.process.poll() is not None:
            return
        pid = self.process.pid
        children: list[str] = []
        with suppress(FileNotFoundError):  # it has just ended
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        self.process.kill()
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)

    def take_out(self) -> str:
        """Return what stands on stdout, which then is no output of a kind to search for secrets."""
        for reader in self._readers:
            reader.join()
        taken, self._out[:] = "".join(self._out), []
        return taken

    def result(self) -> Result:
        status = self.process.wait(PATIENCE)
        for reader in self._readers:
            reader.join()
        for stream in (self.process.stdout, self.process.stderr):
            if stream:
                stream.close()
        return Result(status, "".join(self._out), "".join(self.lines))

    def _read_err(self) -> None:
        for line in self.process.stderr or ():
            with self._new_line:
                self.lines.append(line)
                self._new_line.notify_all()

    def _read_out(self) -> None:
        self._out.extend(self.process.stdout or ())

"""Part e: the daemon rotates, with and without a crowd that loads its page."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import envfile
from bench.api import CALL_DELAY, LOGIN_CPU, Api
from bench.pairs import Comparison, compare
from bench.processes import ROTATOR, FailedRunError, Run
from bench.readers import PAUSE, READERS
from bench.table import Row

TOKENS = 100
TURNS = 12
AT_MOST = 1.15
METHOD = f"""\
One `rotator daemon --listen` with {TOKENS} tokens, from a SIGHUP, at which all are due, to the line
about the last of them; "real" API as in (b). "ours" is with {READERS} readers who load the page at
the same moment, and again {PAUSE} s after the last was answered (a page that is open asks once in
ten seconds), and "theirs" the same daemon with nobody there. Each turn is checked: {TOKENS} new
tokens that the API accepts, a round of readers ended meanwhile, and every reader got the page.
The readers are a process on this machine as well, with the lowest priority.
"""
_CONFIG = '[[token]]\nname = "bot-{number}"\nstores = ["dotenv:{number}/.env"]\n'
_PAGE = re.compile(r"http://\S+")


def measure(folder: Path) -> list[Row]:
    """Take turns between a daemon that is watched and the same one alone."""
    with Api(call_delay=CALL_DELAY, login_cpu=LOGIN_CPU) as api, _daemon(api, folder) as daemon:
        comparison = _compared(api, daemon)
    return [comparison.row(f"(e) {TOKENS} rotations, {READERS} readers", AT_MOST)]


class Daemon:
    """A daemon that runs, its folder, the URL of its page, and the times of its last rotation."""

    def __init__(self, process: "subprocess.Popen[str]", folder: Path) -> None:
        self.began = self.ended = 0.0
        self.folder = folder
        self._process = process
        self.url = self._line(_PAGE)
        self._looks()

    def rotate(self) -> float:
        """Return the seconds from a SIGHUP to the end of the last look."""
        self.began = time.monotonic()
        self._process.send_signal(signal.SIGHUP)
        self._looks()
        self.ended = time.monotonic()
        return self.ended - self.began

    def _looks(self) -> None:
        for _ in range(TOKENS):
            self._line(re.compile("next look at"))

    def _line(self, wanted: re.Pattern[str]) -> str:
        for line in self._process.stderr or ():
            if found := wanted.search(line):
                return found[0]
        raise FailedRunError("rotator daemon ended too early")


def _compared(api: Api, daemon: Daemon) -> Comparison:
    def alone() -> Run:
        return _rotated(api, daemon)

    def watched() -> Run:
        with _crowd(daemon):
            return _rotated(api, daemon)

    return compare(TURNS, watched, alone)


def _rotated(api: Api, daemon: Daemon) -> Run:
    due = _filled(api, daemon.folder, days=3)
    seconds = daemon.rotate()
    held = {envfile.read(daemon.folder / str(number)) for number in range(TOKENS)} - due
    if len(held) != TOKENS or api.accepted(list(held)) != TOKENS:
        raise FailedRunError(f"rotator daemon made {len(held)} new tokens of {TOKENS}")
    return Run(seconds, 0, "")


def _filled(api: Api, folder: Path, *, days: int) -> set[str]:
    tokens = api.issue(TOKENS, days=days)
    for number, token in enumerate(tokens):
        envfile.write(folder / str(number), token)
    return set(tokens)


@contextmanager
def _daemon(api: Api, folder: Path) -> Iterator[Daemon]:
    _filled(api, folder, days=60)
    config = "".join(_CONFIG.format(number=number) for number in range(TOKENS))
    (folder / "rotator.toml").write_text(config)
    with subprocess.Popen(
        [ROTATOR, "daemon", "--listen", "0"],
        cwd=folder,
        env={**os.environ, **api.variables},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Daemon(process, folder)
        finally:
            process.terminate()


@contextmanager
def _crowd(daemon: Daemon) -> Iterator[None]:
    """Let readers come and come again; raises `FailedRunError` when one got no page."""
    with subprocess.Popen(
        [sys.executable, "-m", "bench.readers", daemon.url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        if process.stdout is None or not process.stdout.readline():
            raise FailedRunError("the readers did not get the page")
        yield
        rounds, _ = process.communicate()
        if process.returncode:
            raise FailedRunError("one of the readers did not get the page")
        if not any(daemon.began < float(line) < daemon.ended for line in rounds.split()):
            raise FailedRunError("nobody read the page during the rotation")

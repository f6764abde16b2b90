"""Starting a program, and what it cost: time on the clock, and memory at its peak."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

GUIDE = Path(__file__).parent / "guide"
_CHECKOUT = Path(__file__).parents[1]
ROTATOR = str(Path(sys.executable).with_name("rotator"))
_CHANGES_RESULTS = ("NOCTURNA_", "ROTATOR_", "PYTHON", "COVERAGE_")
_LONGEST_SHOWN = 500


class FailedRunError(Exception):
    """A program under test did not do its job: there is nothing to compare."""


@dataclass(frozen=True, slots=True)
class Run:
    """A finished process: seconds on the clock and of its processor time, its memory, its output.

    `peak` is the resident memory in KiB, at most.
    """

    seconds: float
    peak: int
    output: str
    cpu: float = 0.0


@dataclass(frozen=True, slots=True)
class Command:
    """A program, the folder to start it in, and the variables that it gets beside our own."""

    arguments: tuple[str, ...]
    folder: Path
    variables: Mapping[str, str]

    def run(self) -> Run:
        """Run it to its end; raises `FailedRunError` unless it exits with 0.

        Linux counts into a child's peak what its parent held when it started it: the benchmark's
        own process has to be, and is, much smaller than what it measures.
        """
        with tempfile.TemporaryFile() as output:
            began = time.perf_counter()
            process = subprocess.Popen(
                self.arguments,
                cwd=self.folder,
                env={**os.environ, **self.variables},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - began
            process.returncode = os.waitstatus_to_exitcode(status)
            output.seek(0)
            text = output.read().decode(errors="replace")
        if process.returncode:
            raise FailedRunError(
                f"{' '.join(self.arguments)}: exit status {process.returncode}:"
                f" {text[-_LONGEST_SHOWN:]}"
            )
        return Run(seconds, usage.ru_maxrss, text, usage.ru_utime + usage.ru_stime)


def rotator(command: str, folder: Path, variables: Mapping[str, str]) -> Command:
    """Return a command of this program, as installed."""
    return Command((ROTATOR, command), folder, variables)


def guide(script: str, folder: Path, variables: Mapping[str, str]) -> Command:
    """Return a script of the guide, on the same Python."""
    return Command((sys.executable, str(GUIDE / script)), folder, variables)


def python(module: str, folder: Path, *arguments: str) -> Command:
    """Return a module of the benchmark, started in a folder."""
    variables = {"PYTHONPATH": str(_CHECKOUT)}
    return Command((sys.executable, "-m", module, *arguments), folder, variables)


def isolate(folder: Path) -> None:
    """Take out of the environment what would change the programs under test, or their speed.

    Their bytecode goes to `folder`: cached, as pip leaves it, and not into the checkout.
    """
    for name in [name for name in os.environ if name.startswith(_CHANGES_RESULTS)]:
        del os.environ[name]
    os.environ["PYTHONPYCACHEPREFIX"] = str(folder)

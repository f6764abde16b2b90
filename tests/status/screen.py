"""`rotator` in a pseudo-terminal of a given size, and what it shows there."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from rich.cells import cell_len

from tests.support.process import ROTATOR, Runner
from tests.support.waiting import PATIENCE

ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|[@-_])")
COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-7][0-9;]*m")


class Shown(NamedTuple):
    """What a command wrote to its terminal, and its exit status."""

    raw: str
    status: int

    @property
    def text(self) -> str:
        """What is to be read, without escape sequences."""
        return ESCAPE.sub("", self.raw).replace("\r\n", "\n")

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


def has_fitting_lines(shown: Shown, columns: int) -> bool:
    """Tell whether each line fits, unless it ends with a long word: a path or a URL is not cut."""
    return all(cell_len(line) <= columns or len(line.split()[-1]) > 30 for line in shown.lines)


def open_terminal(columns: int, rows: int) -> tuple[int, int]:
    """Return both ends of a new terminal of this size."""
    mine, theirs = pty.openpty()
    resize(mine, columns, rows)
    return mine, theirs


def resize(terminal: int, columns: int, rows: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def environment(rotator: Runner, changes: dict[str, str]) -> dict[str, str]:
    """Return that of a terminal which says nothing of its size but to those who ask it."""
    unwanted = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "COLORTERM")
    inherited = {key: value for key, value in os.environ.items() if key not in unwanted}
    return {**inherited, **rotator.env, "TERM": "xterm-256color", **changes}


def show(
    rotator: Runner, *arguments: str, columns: int = 80, rows: int = 40, **changes: str
) -> Shown:
    """Run a command to its end in a terminal."""
    mine, theirs = open_terminal(columns, rows)
    with subprocess.Popen(
        [ROTATOR, *arguments],
        cwd=rotator.folder,
        env=environment(rotator, changes),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        raw = b"".join(_read(mine)).decode(errors="replace")
        status = process.wait(PATIENCE)
    os.close(mine)
    rotator.transcript.add(f"rotator {' '.join(arguments)}: a terminal", raw)
    return Shown(raw, status)


def _read(terminal: int) -> Iterator[bytes]:
    with suppress(OSError):  # Linux says EIO when the other side is gone
        while chunk := os.read(terminal, 65536):
            yield chunk

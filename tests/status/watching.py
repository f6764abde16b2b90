"""`rotator status --watch` as the foreground job of a terminal of its own."""

import os
import select
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.status.screen import ESCAPE, environment, open_terminal, resize
from tests.support.process import ROTATOR, Runner
from tests.support.waiting import PATIENCE, wait_until


class Watched:
    """What it writes is kept in `raw`; `last_frame` is the picture that stands there now."""

    def __init__(self, terminal: int, process: "subprocess.Popen[bytes]") -> None:
        self.raw = ""
        self.process = process
        self.modes_before = termios.tcgetattr(terminal)
        self._terminal = terminal

    def type(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def resize(self, columns: int, rows: int) -> None:
        resize(self._terminal, columns, rows)

    def modes(self) -> list[Any]:
        return termios.tcgetattr(self._terminal)

    def wait_for(self, text: str, *, beyond: int = 0) -> None:
        """Wait until this text comes, after the first `beyond` characters."""
        end = time.monotonic() + PATIENCE
        while text not in self.raw[beyond:]:
            readable, _, _ = select.select([self._terminal], [], [], max(0, end - time.monotonic()))
            assert readable, f"no {text!r} in {self.raw!r}"
            self._read(text)

    def _read(self, wanted: str) -> None:
        try:
            self.raw += os.read(self._terminal, 65536).decode()
        except OSError:  # Linux says EIO when the other side is gone
            raise AssertionError(f"it ended without {wanted!r} in {self.raw!r}") from None

    def read_rest(self) -> int:
        """Return the exit status, once all is read."""
        try:
            while chunk := os.read(self._terminal, 65536):
                self.raw += chunk.decode()
        except OSError:  # Linux says EIO when the other side is gone
            pass
        return self.process.wait(PATIENCE)

    def wait_until_stopped(self) -> None:
        stat = Path(f"/proc/{self.process.pid}/stat")
        wait_until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T")

    @property
    def frames(self) -> list[str]:
        """Each picture that was painted, as text."""
        return [ESCAPE.sub("", frame) for frame in self.raw.split("\x1b[H")]


@contextmanager
def watched(
    rotator: Runner, *arguments: str, columns: int = 80, rows: int = 24, **changes: str
) -> Iterator[Watched]:
    mine, theirs = open_terminal(columns, rows)
    process = subprocess.Popen(
        ["setsid", "--ctty", ROTATOR, "status", "--watch", *arguments],  # noqa: S607 - util-linux
        cwd=rotator.folder,
        env=environment(rotator, changes),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    shown = Watched(mine, process)
    os.close(theirs)
    try:
        yield shown
    finally:
        process.kill()
        process.wait()
        os.close(mine)
        rotator.transcript.add("rotator status --watch", shown.raw)

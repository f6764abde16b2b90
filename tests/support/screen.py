"""A program in a terminal of its own, as somebody at a keyboard sees it."""

import os
import pty
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.transcript import Transcript
from tests.support.waiting import PATIENCE

CTRL_C = "\x03"


class Screen:
    """Runs a program as the leader of a session in a terminal, which has all that it writes."""

    def __init__(
        self,
        command: Sequence[str | Path],
        folder: Path,
        env: Mapping[str, str],
        transcript: Transcript,
    ) -> None:
        self._name = " ".join(map(str, command))
        self._transcript = transcript
        self._new = b""
        self._all = b""
        self._fd, inner = pty.openpty()
        self.process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *command],  # noqa: S607 - any
            cwd=folder,
            env={**env, "TERM": "dumb"},
            stdin=inner,
            stdout=inner,
            stderr=inner,
        )
        os.close(inner)

    def answer(self, question: str, text: str) -> None:
        """Wait for a question, and type a line."""
        self.wait_for(question)
        self.type(f"{text}\n")

    def type(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def wait_for(self, text: str) -> None:
        """Wait until this text is shown, and forget all up to it."""
        wanted = text.encode()
        end = time.monotonic() + PATIENCE
        while wanted not in self._new:
            assert self._read(max(0.0, end - time.monotonic())), f"no {text!r} in {self.shown!r}"
        self._new = self._new.partition(wanted)[2]

    def end(self) -> int:
        """Wait for the program's end, and return its exit status."""
        while self._read(PATIENCE):
            pass
        status = self.process.wait(PATIENCE)
        os.close(self._fd)
        self._transcript.add(f"{self._name}: terminal", self.shown)
        return status

    @property
    def shown(self) -> str:
        """All that was shown so far."""
        return self._all.decode(errors="replace").replace("\r\n", "\n")

    def _read(self, seconds: float) -> bool:
        """Read what is there; False at the end, or where nothing comes."""
        readable, _, _ = select.select([self._fd], [], [], seconds)
        try:
            found = os.read(self._fd, 4096) if readable else b""
        except OSError:  # nobody has the terminal open any more
            found = b""
        self._new += found
        self._all += found
        return bool(found)

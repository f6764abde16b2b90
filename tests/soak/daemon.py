"""`rotator daemon` as a process whose time somebody else moves on, together with the API's."""

import os
import struct
import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from mmap import mmap
from pathlib import Path
from typing import Self

from rotator.cli.logs import configure
from rotator.clock import utc_now
from rotator.config.loader import load_settings
from rotator.daemon.process import serve
from rotator.daemon.scheduler import Scheduler
from rotator.daemon.web import ListenAddress
from tests.support.scheduler import ClockZone

_POLL = 0.05  # seconds
_CELLS = 3
_ONE = struct.Struct("d")


class SharedClock:
    """The real time, set ahead for all processes that map its file.

    Beside it, each daemon by its number says up to which moment it has done all that was due.
    """

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._cells = mmap(file.fileno(), _CELLS * _ONE.size)

    @classmethod
    def make(cls, path: Path) -> Self:
        """Make the file of a clock that shows the real time."""
        path.write_bytes(bytes(_CELLS * _ONE.size))
        return cls(path)

    def __call__(self) -> datetime:
        return utc_now() + timedelta(seconds=self._read(0))

    def advance(self, span: timedelta) -> None:
        self._write(0, self._read(0) + span.total_seconds())

    def idle_at(self, daemon: int) -> datetime:
        """Return the last moment at which a daemon, 1 or 2, had nothing to do."""
        return datetime.fromtimestamp(self._read(daemon), UTC)

    def note_idle(self, daemon: int, moment: datetime) -> None:
        self._write(daemon, moment.timestamp())

    def _read(self, cell: int) -> float:
        return float(_ONE.unpack_from(self._cells, cell * _ONE.size)[0])

    def _write(self, cell: int, value: float) -> None:
        _ONE.pack_into(self._cells, cell * _ONE.size, value)


class SoakScheduler(Scheduler):
    """The daemon's own, which looks at the clock all the time, and says when nothing is due."""

    def __init__(self, clock: SharedClock, number: int) -> None:
        super().__init__(ClockZone(clock))
        self._clock = clock
        self._number = number

    def _process_jobs(self) -> float:
        now = self._clock()
        super()._process_jobs()
        executor = self._lookup_executor("default")
        with executor._lock:  # noqa: SLF001 - nobody else knows which jobs run
            is_idle = not any(executor._instances.values())  # noqa: SLF001 - (the same)
        if is_idle:
            self._clock.note_idle(self._number, now)
        return _POLL


def run(clock_file: Path, number: str) -> int:
    """Watch the fleet of this folder and environment until SIGTERM, with a page at any port."""
    configure("text", sys.stderr, tells_events=True)
    clock = SharedClock(clock_file)
    load = partial(load_settings, None, dict(os.environ), Path.cwd())
    serve(load, clock, SoakScheduler(clock, int(number)), ListenAddress("127.0.0.1", 0))
    return 0

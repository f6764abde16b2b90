"""A daemon that works for days of simulated time, among faults and beside one that is killed.

Time goes on by ten minutes whenever all that was due is done. The daemon whose growth is watched
lives all the time. A second one, with the same config, is killed at a random request, again and
again. In between there are quiet hours, after which all must be in order.
"""

import re
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from threading import Lock

from tests.soak.daemon import SharedClock
from tests.soak.fleet import Fleet, Servers
from tests.soak.growth import Sample
from tests.support.crew import Crew, Running
from tests.support.forked import Job
from tests.support.sandbox import Fault, Sandbox
from tests.support.waiting import PATIENCE, wait_until

STEP = timedelta(minutes=10)
_STEPS_OF_TROUBLE = 8
_QUIET = timedelta(minutes=65)  # each token is looked at again
_NUDGE = timedelta(minutes=1)
_UNTIL_NUDGE = 0.5  # seconds without a request
_BETWEEN_BOTS = 0.05  # seconds
_DROPPED = 0.01  # of the moments before and after a request
_MOST_MOMENTS = 300  # of the daemon that is killed
_FAULTS = (
    *(Fault.reset_before(), Fault.reset_after(), Fault.truncated(), Fault.drop_idle()),
    *(Fault.server_error(), Fault.server_error(work=False), Fault.html(), Fault.delay(0.3)),
    *(Fault.unavailable(1), Fault.too_many(1), Fault.empty_body(), Fault.html(work=True)),
)
_PAGE = re.compile(r"the status page is at (http://\S+)")
_WRONG = re.compile(r"Traceback|internal error|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}")


class Executioner:
    """Kills a daemon at one of the moments of its requests."""

    def __init__(self) -> None:
        self._victim: Future[Running] = Future()
        self._left = 0
        self._lock = Lock()

    def choose(self, start: Callable[[], Running], moments: int) -> Running:
        self._victim, self._left = Future(), moments
        victim = start()
        self._victim.set_result(victim)
        return victim

    def reached(self, _: str) -> bool:
        """Let nothing pass from the chosen moment on."""
        with self._lock:
            self._left -= 1
            if self._left == 0:
                self._victim.result(PATIENCE).kill()
            return self._left > 0


class Soak:
    """A fleet, its API, the daemon that is watched, and perhaps the one that is killed."""

    def __init__(self, servers: Servers, crew: Crew, folder: Path, random: Random) -> None:
        self.samples: list[Sample] = []
        self.cycles = self.kills = 0
        self._servers = servers
        self._crew = crew
        self._folder = folder
        self._random = random
        self._clock = SharedClock.make(folder / "clock")
        self._begun = self._clock()
        self._executioner = Executioner()
        self._second: Running | None = None
        self._is_quiet = False

    @property
    def hours(self) -> float:
        """The simulated hours since the start."""
        return (self._clock() - self._begun) / timedelta(hours=1)

    @contextmanager
    def running(self, tokens: int) -> Iterator[None]:
        """Run everything for so many tokens; at the end the daemon stops as it should."""
        with Sandbox(clock=self._clock) as self.api:
            self.fleet = Fleet(self._servers, self.api, self._folder, tokens)
            with (
                self.fleet.doors(self._passes) as first,
                self.fleet.doors(self._executioner.reached) as second,
            ):
                self._doors = {1: first, 2: second}
                self._first = self._start(1)
                try:
                    self._pass(timedelta())
                    yield
                    self._first.send_signal(signal.SIGTERM)
                    assert self._first.wait(PATIENCE) == 0
                    self._read_log(1)
                finally:
                    self._first.kill()
                    self._kill_second()
                    self.fleet.close()

    def cycle(self) -> None:
        """Let there be trouble for more than an hour, and quiet until all is in order again."""
        self._is_quiet = False
        for _ in range(_STEPS_OF_TROUBLE):
            for fault in self._random.choices(_FAULTS, k=self._random.randrange(4)):
                self.api.misbehave(fault)
            if self._second is None and self._random.random() < 1 / 3:
                self._start_second()
            if self._random.random() < 1 / 6:
                self._first.send_signal(signal.SIGHUP)  # it reads its settings again
            self._pass(STEP)
        self._is_quiet = True
        self.api.behave()
        self._kill_second()
        for _ in range(2):
            self._pass(_QUIET)
        self.fleet.assert_all_is_in_order()
        page = _PAGE.search(self._read_log(1))
        assert page
        for path in ("healthz", "metrics", "api/v1/status"):
            with urllib.request.urlopen(f"{page[1]}{path}", timeout=PATIENCE) as answer:  # noqa: S310 - its own
                answer.read()
        self.cycles += 1

    def _pass(self, span: timedelta) -> None:
        """Let time go by, and wait until all that is due then is done."""
        self._clock.advance(span)
        moment, requests = self._clock(), 0
        last_request = last_progress = time.monotonic()
        while self._is_anybody_busy(moment):
            self.fleet.assert_a_bot_works(self._random)
            now, moments = time.monotonic(), sum(each.moments for each in self._doors.values())
            assert now - last_progress < PATIENCE, self._read_log(1)[-2000:]
            if moments != requests:
                last_request, last_progress, requests = now, now, moments
            elif now - last_request > _UNTIL_NUDGE:  # they wait for the end of who was killed
                self._clock.advance(_NUDGE)
                last_request = now
            time.sleep(_BETWEEN_BOTS)
        self.samples.append(Sample.take(self._first.pid, self.hours))

    def _is_anybody_busy(self, moment: datetime) -> bool:
        assert self._first.poll() is None, self._read_log(1)[-2000:]
        if self._second is not None and self._second.poll() is not None:
            self._kill_second()
        is_busy = any(each.under_way for each in self._doors.values())
        is_busy |= self._clock.idle_at(1) < moment
        return is_busy or (self._second is not None and self._clock.idle_at(2) < moment)

    def _passes(self, _: str) -> bool:
        return self._is_quiet or self._random.random() > _DROPPED

    def _start_second(self) -> None:
        self._clock.note_idle(2, self._begun)
        moments = self._random.randrange(1, _MOST_MOMENTS)
        self._second = self._executioner.choose(lambda: self._start(2), moments)

    def _kill_second(self) -> None:
        if self._second is not None:
            self._second.kill()
            self._second.wait(PATIENCE)
            self._second = None
            # No mint may be an hour on its way because the clock is moved on before it arrives.
            wait_until(lambda: not self._doors[2].under_way, "the end of what was sent")
            self.kills += 1
            self._read_log(2)

    def _start(self, number: int) -> Running:
        outputs = [str(self._folder / f"{number}.{name}") for name in ("out", "err")]
        folder, clock = str(self._folder), str(self._folder / "clock")
        variables = self._doors[number].variables
        return self._crew.start(Job(folder, (str(number),), variables, outputs, clock=clock))

    def _read_log(self, number: int) -> str:
        """Return what a daemon has said, in which there is no bug and no secret."""
        text = (self._folder / f"{number}.err").read_text()
        assert not _WRONG.search(text), _WRONG.sub("***", text)[-2000:]
        return text

"""A rotator whose API and store are reached through relays, and who dies at a given request."""

import signal
from concurrent.futures import Future
from contextlib import ExitStack
from datetime import timedelta
from typing import Self

from tests.backends.kinds import Site
from tests.support.clock import ServersClock
from tests.support.crew import Crew, Running
from tests.support.forked import Job
from tests.support.process import Result, Runner
from tests.support.relay import Relay
from tests.support.sandbox import Sandbox
from tests.support.waiting import PATIENCE

# By then an intent whose owner is dead is known to be, in a store where no lock tells.
LATER = timedelta(minutes=4)
_READS = ("after GET ", "after HEAD ", "after LIST ", "after POST / secretsmanager.Get")
_PARAMETERS = ("after POST / AmazonSSM.Get", "after POST / AmazonSSM.List")
_MORE_READS = (*_PARAMETERS, "after POST / secretsmanager.Describe", "after POST /auth/login")


class Scene:
    """A due token in a store, retired at once when it is replaced."""

    victim: tuple[str, ...] = ("rotate",)

    def __init__(self, site: Site, rotator: Runner, crew: Crew) -> None:
        self.site = site
        self.rotator = rotator
        self._crew = crew
        self.clock = ServersClock()
        self._stack = ExitStack()
        self._victim: Future[Running] = Future()
        self._deadly: str | None = None
        self._seen = 0

    def __enter__(self) -> Self:
        self.api = self._stack.enter_context(Sandbox(clock=self.clock))
        self._relays = [
            self._stack.enter_context(Relay(upstream, self._reached))
            for upstream in (self.api.url, self.site.upstream)
        ]
        self.old_token = self.api.issue(days=3)
        self.site.put(self.old_token)
        self.neighbours = self.site.neighbours()
        self.rotator.use(self.api, self.site.store_url)
        self.rotator.env |= {
            "NOCTURNA_API_URL": self._relays[0].url,
            "ROTATOR_RETIRE": "now",
            **self.site.variables(self._relays[1].url),
        }
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def rotate(self) -> Result:
        """Run a rotator that nobody kills."""
        return self.run("rotate")

    def run(self, *arguments: str) -> Result:
        """Run a command that nobody kills."""
        return self._end(self._start(*arguments))

    def kill_after(self, number: int) -> str | None:
        """Run a rotator until a change has been done that it does not hear of any more.

        Return what it was; None if the run ended before so many changes were made.
        """
        self._victim, self._deadly, self._left = Future(), None, number
        victim = self._start(*self.victim)
        self._victim.set_result(victim)
        result = self._end(victim)
        assert result.status == (-signal.SIGKILL if self._deadly else 0), result.err
        self._left = -1
        self.clock.ahead += LATER
        return self._deadly

    _left = -1

    def _reached(self, moment: str) -> bool:
        """Kill the victim when its number has come; a change is a moment after most calls."""
        if self._left < 0 or not is_change(moment):
            return self._deadly is None or self._left < 0
        self._left -= 1
        if self._left >= 0:
            return True
        self._deadly = moment
        process = self._victim.result(PATIENCE)
        process.kill()
        process.wait()
        return False

    def _start(self, *arguments: str) -> Running:
        return self._crew.start(Job(str(self.rotator.folder), arguments, self.rotator.env))

    def _end(self, process: Running) -> Result:
        result = process.result()
        self.rotator.transcript.processes += 1
        self.rotator.transcript.add("rotator", result.out + result.err)
        return result


def is_change(moment: str) -> bool:
    """Tell whether a server's state may be another now.

    A death at any other moment leaves behind what a death after the last change does: this process
    has no state of its own.
    """
    return moment.startswith("after ") and not moment.startswith(_READS + _MORE_READS)

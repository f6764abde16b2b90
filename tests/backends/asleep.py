"""A rotator that sleeps before one of its requests, for longer than others wait for it."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Self

from tests.backends.kinds import Site
from tests.backends.scene import LATER
from tests.support.clock import ServersClock
from tests.support.crew import Crew
from tests.support.forked import Job
from tests.support.process import Result, Runner
from tests.support.relay import Relay
from tests.support.sandbox import Sandbox


class Bedroom:
    """A token in a store, retired at once when it is replaced; `days` are left of it."""

    def __init__(self, site: Site, rotator: Runner, crew: Crew, *, days: int) -> None:
        self.site = site
        self.rotator = rotator
        self.clock = ServersClock()
        self.awake: Result | None = None
        self._days = days
        self._crew = crew
        self._stack = ExitStack()
        self._left = -1
        self._moment: str | None = None

    def __enter__(self) -> Self:
        self.api = self._stack.enter_context(Sandbox(clock=self.clock))
        self._relays = [
            self._stack.enter_context(Relay(upstream, self._reached))
            for upstream in (self.api.url, self.site.upstream)
        ]
        self.site.put(self.api.issue(days=self._days))
        self.neighbours = self.site.neighbours()
        self.rotator.use(self.api, self.site.store_url)
        self.rotator.env |= {"ROTATOR_RETIRE": "now"}
        return self

    def __exit__(self, *_: object) -> None:
        self.rotator.transcript.secrets |= self.api.secrets
        self._stack.close()

    def rotate(self, *arguments: str) -> Result:
        """Run a rotator that does not sleep."""
        direct = {"NOCTURNA_API_URL": self.api.url, **self.site.variables(self.site.upstream)}
        return self._run(("rotate", *arguments), direct)

    def rotate_asleep(self, number: int, *arguments: str) -> tuple[str | None, Result]:
        """Run a rotator that sleeps before its request `number`, while another one runs.

        Return the request and the end of the run; None if it made fewer requests.
        """
        self._left, self._moment = number, None
        api, store = self._relays
        relayed = {"NOCTURNA_API_URL": api.url, **self.site.variables(store.url)}
        result = self._run(("rotate", *arguments), relayed, name="asleep")
        self._left = -1
        return self._moment, result

    def secret_works(self) -> bool:
        secret = self.site.secret()
        return secret is not None and self.api.accepts(secret)

    def _reached(self, moment: str) -> bool:
        if self._left < 0 or not moment.startswith("before "):
            return True
        self._left -= 1
        if self._left < 0:
            self._moment = moment
            self.clock.ahead += LATER
            self.awake = self.rotate()
        return True

    def _run(self, arguments: Sequence[str], env: dict[str, str], name: str = "awake") -> Result:
        folder = self.rotator.folder / name
        folder.mkdir(exist_ok=True)
        job = Job(str(folder), arguments, {**self.rotator.env, **env})
        result = self._crew.start(job).result()
        self.rotator.transcript.processes += 1
        self.rotator.transcript.add(f"rotator {' '.join(arguments)}", result.out + result.err)
        return result

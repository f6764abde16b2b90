"""Random schedules of two to four rotators, of which one to three are frozen or killed.

A rotator is stopped by the kernel while one of its requests is under way, or at a moment between
two of them, for longer than the others wait for it, and goes on while they are at work; or it is
killed there. The same seed draws the same schedule; how it runs also depends on the machine.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from random import Random
from typing import NamedTuple, Self

from tests.backends.kinds import Site
from tests.backends.scene import LATER
from tests.support.clock import ServersClock
from tests.support.crew import Crew, Running
from tests.support.forked import Job
from tests.support.process import Result
from tests.support.relay import Relay
from tests.support.sandbox import Sandbox
from tests.support.waiting import PATIENCE

ROTATION_TIMEOUT = 3.0  # seconds, as all times here
_MOST_REQUESTS = 26  # of one rotation, to the API and the store


class Actor(NamedTuple):
    """A rotator that starts at `start`; one with a `request` is frozen there, after a `pause`.

    The request is done meanwhile, or `held` in the network until it wakes up. One that `dies` is
    killed instead; what it sent may be held as long.
    """

    arguments: tuple[str, ...]
    start: float
    request: int | None = None
    pause: float = 0.0
    asleep: float = 0.0
    held: bool = False
    dies: bool = False


class Schedule(NamedTuple):
    """What is drawn; `days` are left of the token at first."""

    seed: int
    days: int
    actors: tuple[Actor, ...]

    @classmethod
    def draw(cls, seed: int) -> Self:
        random = Random(seed)  # noqa: S311 - no secret
        days = random.choice((3, 60))
        force = ("rotate", "--force")
        # Most often the first one mints and sleeps, and one comes when it counts as dead.
        first = cls._frozen(random, force if days > 7 else ("rotate",), start=0.0)
        actors = [first]
        for number in range(random.choice((1, 1, 2, 3))):
            arguments = random.choice((("rotate",), ("rotate",), force))
            start = random.uniform(ROTATION_TIMEOUT + 0.5, first.asleep + 1)
            if number:
                actors.append(cls._frozen(random, arguments, random.uniform(0, start)))
            else:
                actors.append(Actor(arguments, start))
        return cls(seed, days, tuple(actors))

    @staticmethod
    def _frozen(random: Random, arguments: tuple[str, ...], start: float) -> Actor:
        return Actor(
            arguments,
            start,
            # Twice as often in the second half, where it writes.
            request=random.randrange(random.choice((0, _MOST_REQUESTS // 2)), _MOST_REQUESTS),
            pause=random.choice((0.0, 0.0, random.uniform(0, 0.05))),
            asleep=random.uniform(ROTATION_TIMEOUT + 1, ROTATION_TIMEOUT + 3),
            held=random.choice((True, False)),
            dies=random.choice((True, False, False, False)),
        )


class Sleeper:
    """Freezes its process at the request of its actor, and wakes it up later, or kills it."""

    def __init__(self, actor: Actor) -> None:
        self._actor = actor
        self._left = -1 if actor.request is None else actor.request
        self._process: int | None = None
        self._started = threading.Event()
        self._waking: threading.Timer | None = None
        self._under_way = 0
        self._answered = threading.Condition()

    def watch(self, running: Running) -> None:
        # Whatever may get its number later is another process, and is not meant.
        with suppress(ProcessLookupError):
            self._process = os.pidfd_open(running.pid)
        self._started.set()

    def stops(self, moment: str) -> bool:
        """Count the requests, and freeze or kill at the right one; tell whether it was this."""
        is_new = moment.startswith("before ")
        with self._answered:
            self._under_way += 1 if is_new else -1
            self._answered.notify_all()
        if self._left < 0 or not is_new:
            return False
        self._left -= 1
        if self._left < 0:
            assert self._started.wait(PATIENCE)
            time.sleep(self._actor.pause)
            if self._actor.dies:
                self._send(signal.SIGKILL)
            else:
                self._send(signal.SIGSTOP)
                self._waking = threading.Timer(self._actor.asleep, self._send, (signal.SIGCONT,))
                self._waking.start()
            if self._actor.held:
                time.sleep(self._actor.asleep)
        return self._left < 0

    def close(self) -> None:
        """Wake it up; wait for what it sent before it was killed."""
        if self._waking:
            self._waking.cancel()
        self._send(signal.SIGCONT)
        if self._process is not None:
            os.close(self._process)
            self._process = None
        with self._answered:
            assert self._answered.wait_for(lambda: not self._under_way, PATIENCE)

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._process, number)


class Night(NamedTuple):
    """What a schedule came to: what was wrong, who stopped where, what became of each rotator."""

    schedule: Schedule
    problems: list[str]
    stops: list[str]
    results: list[Result]
    secrets: set[str]

    def __str__(self) -> str:
        return "\n".join((str(self.schedule), *self.problems, *self.stops, *map(str, self.results)))


class Bed:
    """Runs one schedule against a store of its own and an API of its own."""

    def __init__(self, schedule: Schedule, site: Site, crew: Crew, folder: Path) -> None:
        self._schedule = schedule
        self._site = site
        self._crew = crew
        self._folder = folder
        self._clock = ServersClock()
        self._problems: list[str] = []
        self._stops: list[str] = []

    def run(self) -> Night:
        """Let all rotators end, then let another one put in order what they left."""
        with Sandbox(clock=self._clock) as api:
            self._site.put(api.issue(days=self._schedule.days))
            neighbours = self._site.neighbours()
            results = self._run_actors(api)
            problems = self._problems
            problems += [f"internal error: {r.err}" for r in results if "internal error" in r.err]
            secret = self._site.secret()
            self._look_as_bot(api, "at the end")
            self._clock.ahead += LATER
            # It is alone, and has time on a slow machine; what is older than this is dead by then.
            last_actor = Actor(("rotate",), 0.0)
            with self._started(api, last_actor, "last", timeout=120.0) as running:
                last = running.result()
            if last.status != 0:
                problems.append("the last run failed")
            live = [row.secret for row in api.live_tokens()]
            if live != [self._site.secret()]:
                problems.append(f"{len(live)} tokens live, {len(set(live) - {secret})} of them new")
            if self._site.neighbours() != neighbours:
                problems.append("something else in the store changed")
            return Night(self._schedule, problems, self._stops, [*results, last], api.secrets)

    def _run_actors(self, api: Sandbox) -> list[Result]:
        with ExitStack() as stack:
            begun, running = time.monotonic(), []
            order = sorted(enumerate(self._schedule.actors), key=lambda each: each[1].start)
            for number, actor in order:
                time.sleep(max(0.0, begun + actor.start - time.monotonic()))
                started = self._started(api, actor, f"actor-{number}")
                running.append(stack.enter_context(started))
            return [each.result() for each in running]

    def _look_as_bot(self, api: Sandbox, moment: str) -> None:
        """Note it where the store holds a token that the API refuses.

        One that another rotator replaces while it is looked at may be revoked by then.
        """
        seen = None
        while (secret := self._site.secret()) != seen:
            if secret is not None and api.accepts(secret):
                return
            seen = secret
        self._problems.append(f"the bot has a token that was revoked, {moment}")

    @contextmanager
    def _started(
        self, api: Sandbox, actor: Actor, name: str, *, timeout: float = ROTATION_TIMEOUT
    ) -> Iterator[Running]:
        sleeper = Sleeper(actor)

        def reached(moment: str) -> bool:
            if moment.startswith("after ") and not moment.startswith("after GET"):
                self._look_as_bot(api, moment)
            if sleeper.stops(moment):
                self._stops.append(f"{name}: {'killed' if actor.dies else 'frozen'} {moment}")
            return True

        folder = self._folder / name
        folder.mkdir(parents=True)
        with (
            Relay(api.url, reached) as to_api,
            Relay(self._site.upstream, reached) as to_store,
        ):
            environ = {
                "NOCTURNA_API_URL": to_api.url,
                "NOCTURNA_ADMIN_EMAIL": api.admin_email,
                "NOCTURNA_ADMIN_PASSWORD": api.admin_password,
                "ROTATOR_STORE": self._site.store_url,
                "ROTATOR_RETIRE": "now",
                "ROTATOR_ROTATION_TIMEOUT": f"{timeout:.0f}s",
                **self._site.variables(to_store.url),
            }
            running = self._crew.start(Job(str(folder), actor.arguments, environ))
            sleeper.watch(running)
            try:
                yield running
            finally:
                sleeper.close()
                running.wait()

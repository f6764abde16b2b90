"""A token in the files of some bots, an API of its own, and rotators that live or are killed."""

import json
import signal
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple, TypedDict, Unpack

from rotator.clock import utc_now
from rotator.stores.journal import Intent
from tests.crash.cases import Case, Death, Moment
from tests.crash.envfiles import EnvFile, attributes
from tests.crash.killer import Killer
from tests.support.clock import ServersClock
from tests.support.crew import Crew, Running
from tests.support.forked import Job
from tests.support.process import Result
from tests.support.sandbox import Fault, Sandbox, ServiceTokenRow
from tests.support.transcript import Transcript

TIMEOUT = timedelta(minutes=5)  # no run comes near it, however busy the machine is
# The next run gives a token of a few seconds time to be used by whoever made it.
NEXT_RUN = timedelta(seconds=11)
_CONFIG = """
[api]
url = "{url}"
admin_email = "{email}"
admin_password_file = "admin-password"

[[token]]
name = "bots"
stores = {stores}
retire = "{retire}"
rotation_timeout = "{seconds}s"
hooks = [{hook}]
"""


class Life(TypedDict, total=False):
    """How far a victim lives; see `Job`."""

    log: str
    moment: int


class Wreck(NamedTuple):
    """What a killed run left: in the files, and in the server's table."""

    died_at: datetime
    token: str
    contents: dict[str, bytes]
    made: tuple[ServiceTokenRow, ...]


class Scene:
    """The command is `rotate`; another one may have more to be looked at."""

    arguments: tuple[str, ...] = ("rotate",)
    retire = "now"

    @property
    def good_ends(self) -> set[int]:
        """With which status a run may end that did all."""
        return {0}

    def __init__(
        self,
        folder: Path,
        files: Sequence[EnvFile],
        api: Sandbox,
        clock: ServersClock,
        crew: Crew,
    ) -> None:
        self._crew = crew
        self.folder = folder
        self.bots = folder / "bots"
        self.files = files
        self.api = api
        self.clock = clock
        self.transcript = Transcript()
        self.old_token = api.issue(days=3)
        self.bots.mkdir(parents=True)
        for file in files:
            file.put(self.bots, self.old_token)
        self.attributes = attributes(self.bots)
        self._hooked = folder / "hooked"
        self._configure()

    def _configure(self) -> None:
        (self.folder / "admin-password").write_text(self.api.admin_password)
        hook = ["sh", "-c", 'echo "$ROTATOR_TOKEN_ID" >> "$0"', str(self._hooked)]
        config = _CONFIG.format(
            url=self.api.url,
            email=self.api.admin_email,
            stores=json.dumps([f"dotenv:bots/{file.name}#{file.variable}" for file in self.files]),
            retire=self.retire,
            seconds=TIMEOUT.seconds,
            hook=json.dumps(hook),
        )
        (self.folder / "rotator.toml").write_text(config)

    @property
    def intents(self) -> list[Intent]:
        """Return the intents that stand in the files."""
        return [intent for file in self.files for intent in file.journal(self.bots).intents]

    def is_as_it_was(self, file: EnvFile) -> bool:
        """Tell whether nothing but the token and its note changed."""
        return file.is_as_it_was(self.bots)

    @property
    def hooked(self) -> list[str]:
        """Return the ids of the tokens that the hook was told of."""
        return self._hooked.read_text().split() if self._hooked.exists() else []

    def problems_while_dead(self) -> Iterator[str]:
        """Say what else is not as it should be between a death and the recovery."""
        yield from ()

    def problems_at_the_end(self) -> Iterator[str]:
        """Say what else is not as it should be after the recovery."""
        yield from ()

    def rotate(self) -> Result:
        """Run the command."""
        return self._end(self._start())

    def prepare(self) -> None:
        """Do what is to be done before the run that is killed."""

    def finish(self, result: Result) -> Result:
        """Make the run after which all is done, if `result` is not its own; return its result."""
        return result

    def record(self) -> tuple[Result, tuple[Moment, ...]]:
        """Run a victim that lives."""
        return self._end(self._victim(-1)), self._moments()

    def kill(self, case: Case) -> Killer:
        """Run a victim until it is dead, and prove that it died as the case says."""
        killer = Killer(case.death)
        if case.death is Death.BEFORE:
            process = self._victim(case.number)
        else:
            if case.call > 1:
                self.api.misbehave(Fault(), times=case.call - 1)
            self.api.misbehave(killer.fault)
            process = self._victim(-1)
            killer.take(process)
        status = self._end(process).status
        assert status == -signal.SIGKILL, f"the victim was not killed, but ended with {status}"
        reached = self._moments()
        assert reached == case.reached, f"the run went another way: {reached[-1:]}"
        self.clock.ahead += NEXT_RUN
        return killer

    def wreck(self) -> Wreck:
        contents = {path.name: path.read_bytes() for path in self.bots.iterdir()}
        return Wreck(self.clock(), self.old_token, contents, tuple(self.api.tokens[1:]))

    def restore(self, wreck: Wreck) -> None:
        """Make it all as another scene was when a run had died there, the time included."""
        self.clock.ahead = wreck.died_at - utc_now()
        for name, content in wreck.contents.items():
            ours = content.replace(wreck.token.encode(), self.old_token.encode())
            (self.bots / name).write_bytes(ours)
        for row in wreck.made:
            self.api.issue(created_at=row.created_at, expires_at=row.expires_at)

    def _victim(self, moment: int) -> Running:
        return self._start(log=str(self._log), moment=moment)

    @property
    def _log(self) -> Path:
        return self.folder / "moments"

    def _moments(self) -> tuple[Moment, ...]:
        lines = self._log.read_text().splitlines()
        return tuple(Moment(*line.split("\t")) for line in lines)

    def _start(self, arguments: Sequence[str] | None = None, **life: Unpack[Life]) -> Running:
        return self._crew.start(Job(str(self.folder), arguments or self.arguments, {}, **life))

    def _end(self, process: Running) -> Result:
        result = process.result()
        self.transcript.processes += 1
        self.transcript.add(f"{self.folder.name}: stdout", result.out)
        self.transcript.add(f"{self.folder.name}: stderr", result.err)
        return result

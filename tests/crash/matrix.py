"""Every case of a matrix, played on a scene of its own, and what came of it."""

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import NamedTuple

from tests.crash import checks
from tests.crash.cases import Case, Death, Moment, cases_of, mint_of
from tests.crash.envfiles import EnvFile
from tests.crash.scene import TIMEOUT, Scene, Wreck
from tests.crash.watch import UNSEEN
from tests.support.clock import ServersClock
from tests.support.crew import Crew
from tests.support.sandbox import Sandbox
from tests.support.transcript import Transcript

_WORKERS = 4
_SLACK = timedelta(minutes=1, seconds=2)  # beyond its timeout a run is given a minute


Choice = Callable[[list[Case]], list[Case]]


class Outcome(NamedTuple):
    case: Case
    came_of_it: str
    problems: tuple[str, ...]


class Matrix:
    """All deaths of a command whose token is in these files, each with a recovery."""

    def __init__(
        self,
        folder: Path,
        files: Sequence[EnvFile],
        transcript: Transcript,
        crew: Crew,
        scene_type: type[Scene] = Scene,
    ) -> None:
        self._scene_type = scene_type
        self._folder = folder
        self._files = files
        self._transcript = transcript
        self._crew = crew
        self._numbers = count()

    def of_rotations(self, chosen: Choice = list) -> list[Outcome]:
        """Kill a rotation at each of its moments, or in the chosen cases of them."""
        with self.stage() as scene:
            scene.prepare()
            recorded = _recorded(scene)
        return self._played(chosen(cases_of(recorded)))

    def of_recoveries(self, chosen: Choice = list) -> list[Outcome]:
        """Kill a rotation whose mint is not answered, and then the recovery as `of_rotations`."""
        with self.stage() as scene:
            rotation = _recorded(scene)
        with self.stage() as scene:
            scene.kill(mint_of(rotation, Death.UNANSWERED))
            wreck = scene.wreck()
            recorded = _recorded(scene)
        return self._played(chosen(cases_of(recorded)), wreck)

    def _played(self, cases: Sequence[Case], wreck: Wreck | None = None) -> list[Outcome]:
        with ThreadPoolExecutor(_WORKERS) as pool:
            return list(pool.map(lambda case: self._outcome(case, wreck), cases))

    def _outcome(self, case: Case, wreck: Wreck | None) -> Outcome:
        try:
            with self.stage() as scene:
                scene.prepare()
                if wreck:  # to die anew for each case would take a third longer
                    scene.restore(wreck)
                return _played(scene, case)
        except Exception as error:  # noqa: BLE001 - it must not hide what became of other cases
            return Outcome(case, "broken", (f"{type(error).__name__}: {error}",))

    @contextmanager
    def stage(self) -> Iterator[Scene]:
        """Give a scene; all that is written on it comes into the transcript."""
        clock = ServersClock()
        folder = self._folder / f"case-{next(self._numbers)}"
        with Sandbox(clock=clock) as api:
            scene = self._scene_type(folder, self._files, api, clock, self._crew)
            try:
                yield scene
            finally:
                # It was searched for the secrets of this API: those of all would be too many to
                # search everything for.
                self._transcript.processes += scene.transcript.processes
                self._transcript.written += scene.transcript.written


def _recorded(scene: Scene) -> tuple[Moment, ...]:
    result, moments = scene.record()
    problems = "; ".join(checks.recovered(scene, scene.finish(result), settled=True))
    assert not problems, f"nobody was killed, and yet: {problems}"
    assert not [moment for moment in moments if UNSEEN in moment.change]
    assert not moments[-1].is_request
    return moments


def _played(scene: Scene, case: Case) -> Outcome:
    """Kill a run, and recover; where an intent has to wait, come back when its time is over.

    A token that comes late settles its intent at once. With two open ones it does not tell whose it
    is, so that both wait for the other one.
    """
    killer = scene.kill(case)
    made = {row.secret for row in scene.api.tokens}
    problems = [*checks.while_dead(scene), *scene.problems_while_dead()]
    result = scene.finish(scene.rotate())
    problems += checks.recovered(scene, result, settled=False)
    came_of_it = _came_of_it(scene, made)
    if case.death is Death.LATE:
        is_settled = len(scene.intents) <= 1
        killer.finish()
        later = checks.recovered(scene, scene.rotate(), settled=is_settled)
        problems += [f"after the late answer {each}" for each in later]
    if scene.intents:
        scene.clock.ahead += TIMEOUT + _SLACK
        later = checks.recovered(scene, scene.rotate(), settled=True)
        problems += [f"later {each}" for each in later]
    problems += scene.problems_at_the_end()
    return Outcome(case, came_of_it, tuple(problems))


def _came_of_it(scene: Scene, made: Collection[str]) -> str:
    stored = scene.files[0].token(scene.bots)
    if stored in made:
        outcome = "its token is stored everywhere"
    elif len(made) > 1:
        outcome = "its token was revoked, another made"
    else:
        outcome = "it had made none; one was made"
    return outcome + ("; its intent waits" if scene.intents else "")

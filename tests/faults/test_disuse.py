"""All that can fail in a run that finds out whether somebody still uses an old token."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from rotator.config.settings import Unused
from rotator.errors import ConflictError, StoreDeniedError, StoreError, StoreUnreachableError
from tests.faults import promises
from tests.faults.scene import ONE, STUBBORN, THREE, Scene
from tests.faults.steps import CHANGING, Phase, Step, Tape, Trap, unhindered
from tests.faults.wire import FAULTS, Place, strike
from tests.support.clock import FakeClock
from tests.support.sandbox import Sandbox

QUIET = timedelta(hours=1)
ERRORS = [
    StoreUnreachableError("the store does not answer"),
    ConflictError("somebody else changed it"),
    StoreDeniedError("may not: grant it"),
    StoreError("the disk is full"),
]
Prepare = Callable[[Sandbox], object]


def rotated(folder: Path, api: Sandbox, clock: FakeClock, files: tuple[str, ...]) -> Scene:
    """Return a scene with an old token that is owed, and that has been quiet for long enough."""
    scene = Scene(folder, api, clock, files)
    scene.retire = Unused(QUIET)
    assert scene.run().error is None
    clock.advance(2 * QUIET)
    return scene


def played(
    folder: Path,
    prepare: Prepare,
    passing: Step = unhindered,
    files: tuple[str, ...] = ONE,
    *,
    in_use: bool,
) -> list[str]:
    """Return what is broken in a run that meets something, and after it."""
    clock = FakeClock()
    with Sandbox(clock=clock) as api:
        scene = rotated(folder, api, clock, files)
        old = next(row for row in api.tokens if row.secret == scene.old)
        if in_use:
            old.last_used_at = clock() - QUIET / 2
        prepare(api)
        report = scene.run(limits=STUBBORN, passing=passing)
        api.behave()
        return [
            *promises.at_once(scene, report, owed=True),  # perhaps the one that was replaced now
            *_afterwards(scene, clock, in_use=in_use, is_told=report.error is not None),
        ]


def _afterwards(scene: Scene, clock: FakeClock, *, in_use: bool, is_told: bool) -> Iterator[str]:
    if in_use and not scene.api.accepts(scene.old):
        yield "it was revoked, though somebody uses it"
    if not in_use and not is_told and scene.api.accepts(scene.old):
        yield "it was not revoked, and no failure is told"
    report = scene.run()
    if in_use:
        if not scene.api.accepts(scene.old):
            yield "2nd run: it was revoked, though somebody uses it"
        clock.advance(QUIET)
        report = scene.run()
    if report.error:
        yield f"at last: {report.error}"
    if scene.api.accepts(scene.old):
        yield "at last: it is quiet, and was not revoked"
    clock.advance(QUIET)  # for a mint that nobody asked for
    yield from promises.later(scene)


def calls(folder: Path, *, in_use: bool) -> list[Place]:
    """Return the calls of a good run."""
    clock = FakeClock()
    with Sandbox(clock=clock) as api:
        scene = rotated(folder, api, clock, ONE)
        if in_use:
            api.tokens[0].last_used_at = clock()
        before = len(api.calls)
        assert scene.run().error is None
        made = api.calls[before:]
    return [Place(number, f"{method} {path}") for number, (method, path, _) in enumerate(made, 1)]


def test_the_calls_that_are_made_to_fail_are_those_of_a_good_run(folder: Path) -> None:
    names = [place.name for place in calls(folder / "used", in_use=True)]
    assert names == [
        "POST /auth/service-token/refresh",  # of the current token
        "POST /auth/login",
        "POST /auth/service-token/refresh",  # the use that the list has to show
        "GET /auth/admin/service-tokens",
    ]
    more = [place.name.rpartition("/")[0] for place in calls(folder / "quiet", in_use=False)][4:]
    assert more == ["POST /auth/service-token", "DELETE /auth/admin/service-tokens"]


@pytest.mark.sample(3)
@pytest.mark.parametrize("in_use", [True, False], ids=["in use", "quiet"])
@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for good"])
@pytest.mark.parametrize(
    "fault",
    FAULTS,
)
def test_a_call_that_fails_revokes_nothing_too_early_and_leaves_nothing_over(
    folder: Path, fault: str, *, for_good: bool, in_use: bool
) -> None:
    found = []
    for place in calls(folder / "good", in_use=in_use):

        def prepare(api: Sandbox, place: Place = place) -> None:
            strike(api, place, FAULTS[fault](), for_good=for_good)

        broken = played(folder / str(place.number), prepare, in_use=in_use)
        found += [f"{place.number}. {place.name}: {each}" for each in broken]
    assert found == []


@pytest.mark.sample(4)
@pytest.mark.parametrize("in_use", [True, False], ids=["in use", "quiet"])
@pytest.mark.parametrize("phase", ["before", "after"])
@pytest.mark.parametrize(
    "files", [pytest.param(ONE, id="one"), pytest.param(THREE, id="three", marks=pytest.mark.long)]
)
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_store_that_fails_revokes_nothing_too_early_and_leaves_nothing_over(
    folder: Path, error: StoreError, files: tuple[str, ...], phase: Phase, *, in_use: bool
) -> None:
    tape, found = Tape(), []
    clock = FakeClock()
    with Sandbox(clock=clock) as api:
        scene = rotated(folder / "good", api, clock, files)
        if in_use:
            api.tokens[0].last_used_at = clock()
        assert scene.run(passing=tape).error is None

    def spring(_file: str) -> None:
        raise error

    for number, (file, operation) in enumerate(tape.steps):
        if phase == "before" or operation in CHANGING:
            trap = Trap(number, phase, spring)
            broken = played(folder / str(number), lambda _: None, trap, files, in_use=in_use)
            assert trap.is_sprung
            found += [f"{number}. {phase} {operation} of {file}: {each}" for each in broken]
    assert found == []

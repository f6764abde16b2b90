"""Every operation on a store, in a whole rotation, fails in every way, before and after it."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from rotator.errors import ConflictError, StoreDeniedError, StoreError, StoreUnreachableError
from rotator.rotation.in_flight import InFlightMints
from tests.faults import promises
from tests.faults.scene import STORES, Scene
from tests.faults.steps import CHANGING, Phase, Tape, Trap
from tests.support.clock import FakeClock
from tests.support.sandbox import Sandbox

ERRORS = [
    StoreUnreachableError("the store does not answer"),
    StoreDeniedError("may not: grant it"),
    ConflictError("somebody else changed it"),
    StoreError("the disk is full"),
]
Case = Callable[[Scene], Callable[[str], None]]  # what happens at a step of a file


def editor(scene: Scene, *, days: int, whole: bool) -> Callable[[str], None]:
    def edit(file: str) -> None:
        scene.overwrite(file, scene.api.issue(days=days), whole=whole)

    return edit


def every_place(folder: Path, files: Sequence[str], phase: Phase) -> Iterator[tuple[str, int]]:
    """Return the steps of a good rotation that can fail in this phase, by name and place."""
    tape = Tape()
    clock = FakeClock()
    with Sandbox(clock=clock) as api:
        report = Scene(folder / "good", api, clock, files).run(passing=tape)
    assert report.error is None
    for place, (file, operation) in enumerate(tape.steps):
        if phase == "before" or operation in CHANGING:
            yield f"{place}: {phase} {operation} of {file}", place


def findings(
    folder: Path,
    files: Sequence[str],
    phase: Phase,
    case: Case,
    *,
    lasting: bool = False,
) -> list[str]:
    """Return what is broken; a daemon meets what lasts, and a process for each run the rest."""
    found = []
    for name, place in every_place(folder, files, phase):
        clock = FakeClock()
        with Sandbox(clock=clock) as api:
            scene = Scene(folder / str(place), api, clock, files)
            scene.in_flight = InFlightMints() if lasting else None
            trap = Trap(place, phase, case(scene), lasting=lasting)
            report = scene.run(passing=trap)
            assert trap.is_sprung
            broken = [
                *promises.at_once(scene, report),
                *promises.later(scene, mint_may_be_open=True),
                *promises.at_last(scene),
            ]
        found += [f"{name}: {each} [{report.action}: {report.error}]" for each in broken]
    return found


def raising(error: StoreError) -> Case:
    def spring(_file: str) -> None:
        raise error

    return lambda _scene: spring


@pytest.mark.sample(6)
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "lasting"])
@pytest.mark.parametrize("files", STORES)
@pytest.mark.parametrize("phase", ["before", "after"])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_operation_that_fails_does_no_harm(
    folder: Path, error: StoreError, phase: Phase, files: Sequence[str], *, lasting: bool
) -> None:
    assert findings(folder, files, phase, raising(error), lasting=lasting) == []


@pytest.mark.sample(2)
@pytest.mark.parametrize("files", STORES)
@pytest.mark.parametrize("phase", ["before", "after"])
@pytest.mark.parametrize(("days", "whole"), [(80, False), (365, True)], ids=["edited", "replaced"])
def test_somebody_who_changes_the_file_at_that_moment_does_no_harm(
    folder: Path, phase: Phase, files: Sequence[str], days: int, *, whole: bool
) -> None:
    def case(scene: Scene) -> Callable[[str], None]:
        return editor(scene, days=days, whole=whole)

    assert findings(folder, files, phase, case) == []

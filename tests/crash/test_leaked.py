"""SIGKILL at every moment of `rotator leaked`: the same command goes on, and its report is true."""

from collections.abc import Collection, Sequence
from pathlib import Path

import pytest

from tests.crash.cases import Case, Death
from tests.crash.emergency import Emergency
from tests.crash.envfiles import ENV_FILES
from tests.crash.matrix import Choice, Matrix
from tests.crash.test_crash_matrix import STEPS_OF_A_ROTATION, failures, steps
from tests.support.crew import Crew
from tests.support.transcript import Transcript

OWN_STEPS = {"examine", "report", "search", "note found", "revoke found"}
STEPS = STEPS_OF_A_ROTATION | OWN_STEPS
# What decides whether the next run mints again, and what a kill of a rotation does not show.
DECISIVE = OWN_STEPS | {"mint", "promote", "retire", "finish"}


@pytest.fixture
def choice(long: bool) -> Choice:  # noqa: FBT001 - a fixture
    return list if long else lambda cases: one_of_each_step(cases, DECISIVE)


def one_of_each_step(cases: Sequence[Case], wanted: Collection[str] = STEPS) -> list[Case]:
    """Return a death in the middle of each step, and each change that was made and not answered."""
    chosen = [
        case for case in cases if case.death is Death.UNANSWERED and "GET" not in case.moment.change
    ]
    for step in dict.fromkeys(case.moment.step for case in cases):
        of_step = [c for c in cases if c.moment.step == step and c.death is Death.BEFORE]
        chosen.append(of_step[len(of_step) // 2])
    return [case for case in chosen if case.moment.step in wanted]


def test_the_same_command_goes_on_where_a_killed_one_stopped(
    tmp_path: Path,
    transcript: Transcript,
    crew: Crew,
    choice: Choice,
    long: bool,  # noqa: FBT001 - a fixture
) -> None:
    outcomes = Matrix(tmp_path, ENV_FILES[:1], transcript, crew, Emergency).of_rotations(choice)
    assert failures(outcomes) == ""
    assert steps(outcomes) == (STEPS if long else DECISIVE)


@pytest.mark.long
def test_it_goes_on_with_the_other_stores_too(
    tmp_path: Path, transcript: Transcript, crew: Crew
) -> None:
    outcomes = Matrix(tmp_path, ENV_FILES, transcript, crew, Emergency).of_rotations(list)
    assert failures(outcomes) == ""
    assert steps(outcomes) == STEPS | {"spread"}


@pytest.mark.long
def test_a_killed_recovery_is_recovered_from_too(
    tmp_path: Path, transcript: Transcript, crew: Crew
) -> None:
    matrix = Matrix(tmp_path, ENV_FILES[:1], transcript, crew, Emergency)
    outcomes = matrix.of_recoveries(lambda cases: one_of_each_step(cases, STEPS | {"clear up"}))
    assert failures(outcomes) == ""
    assert {"clear up"} <= steps(outcomes) <= STEPS | {"clear up"}

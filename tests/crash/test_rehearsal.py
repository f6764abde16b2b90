"""SIGKILL at every moment of `rotator rehearse`: the bots notice nothing, and nothing is left."""

from pathlib import Path

import pytest

from tests.crash.cases import Death
from tests.crash.envfiles import ENV_FILES
from tests.crash.matrix import Choice, Matrix
from tests.crash.rehearsal import ThenDoctor, ThenRehearse, ThenRotate
from tests.crash.test_crash_matrix import failures, steps
from tests.crash.test_leaked import one_of_each_step
from tests.support.crew import Crew
from tests.support.transcript import Transcript

STEPS = {
    "read",
    "hold",
    "preflight",
    "log in",
    "prove the right to mint",
    "list",
    "intend",
    "mint",
    "note answer",
    "verify",
    "promote",
    "read back",
    "revoke",
    "remove",
    "hook",
    "log out",
    "end",
}
# A canary that is on record, one that is written, and one that is revoked.
DECISIVE = {"note answer", "read back", "remove"}


@pytest.fixture
def choice(long: bool) -> Choice:  # noqa: FBT001 - a fixture
    return list if long else lambda cases: one_of_each_step(cases, STEPS)


@pytest.fixture
def few(long: bool) -> Choice:  # noqa: FBT001 - a fixture
    return list if long else lambda cases: one_of_each_step(cases, DECISIVE)


def test_the_next_rotation_removes_what_a_killed_rehearsal_left(
    tmp_path: Path, transcript: Transcript, crew: Crew, choice: Choice
) -> None:
    outcomes = Matrix(tmp_path, ENV_FILES[:1], transcript, crew, ThenRotate).of_rotations(choice)
    assert failures(outcomes) == ""
    assert steps(outcomes) == STEPS
    assert {"mint", "revoke"} <= {
        each.case.moment.step for each in outcomes if each.case.death is Death.UNANSWERED
    }


@pytest.mark.parametrize("scene", [ThenRehearse, ThenDoctor])
def test_so_does_the_next_rehearsal_or_doctor(
    tmp_path: Path, transcript: Transcript, crew: Crew, few: Choice, scene: type[ThenRotate]
) -> None:
    outcomes = Matrix(tmp_path, ENV_FILES[:1], transcript, crew, scene).of_rotations(few)
    assert failures(outcomes) == ""


@pytest.mark.long
def test_the_canary_is_removed_from_all_stores(
    tmp_path: Path, transcript: Transcript, crew: Crew
) -> None:
    outcomes = Matrix(tmp_path, ENV_FILES, transcript, crew, ThenRotate).of_rotations(list)
    assert failures(outcomes) == ""
    assert steps(outcomes) == STEPS

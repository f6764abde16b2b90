"""SIGKILL at every moment at which a rotation changes the world, and at every moment of a call."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.crash.envfiles import ENV_FILES
from tests.crash.matrix import Matrix, Outcome
from tests.crash.steps import ELSEWHERE
from tests.support.crew import Crew
from tests.support.transcript import Transcript

STEPS_OF_A_ROTATION = {
    "read",
    "hold",
    "preflight",
    "log in",
    "intend",
    "mint",
    "note answer",
    "verify",
    "promote",
    "hook",
    "settle",
    "retire",
    "end",
}


def failures(outcomes: Sequence[Outcome]) -> str:
    return "\n".join(f"{o.case}: {'; '.join(o.problems)}" for o in outcomes if o.problems)


def steps(outcomes: Sequence[Outcome]) -> set[str]:
    return {outcome.case.moment.step for outcome in outcomes}


@pytest.mark.parametrize(("stores", "more"), [(1, set()), (3, {"spread"})], ids=["one", "three"])
def test_the_next_run_brings_into_order_what_a_killed_one_left(
    tmp_path: Path, transcript: Transcript, crew: Crew, stores: int, more: set[str]
) -> None:
    outcomes = Matrix(tmp_path, ENV_FILES[:stores], transcript, crew).of_rotations()
    assert failures(outcomes) == ""
    assert steps(outcomes) == STEPS_OF_A_ROTATION | more
    assert ELSEWHERE not in steps(outcomes)


def test_a_killed_recovery_is_recovered_from_too(
    tmp_path: Path, transcript: Transcript, crew: Crew
) -> None:
    outcomes = Matrix(tmp_path, ENV_FILES[:1], transcript, crew).of_recoveries()
    assert failures(outcomes) == ""
    assert steps(outcomes) == STEPS_OF_A_ROTATION | {"clear up"}

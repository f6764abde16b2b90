"""SIGKILL at every moment at which a rotation changes the world, and at every moment of a call."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random

import pytest

from tests.crash.cases import thinned
from tests.crash.disuse import Disuse, UnusedToken
from tests.crash.envfiles import ENV_FILES
from tests.crash.matrix import Choice, Matrix, Outcome
from tests.support.crew import Crew
from tests.support.transcript import Transcript

STEPS_OF_A_ROTATION = {
    "read",
    "hold",
    "preflight",
    "log in",
    "log out",
    "list",
    "intend",
    "mint",
    "note answer",
    "verify",
    "promote",
    "hook",
    "finish",
    "retire",
    "end",
}


STEPS_OF_A_RETIREMENT = {
    "read",
    "hold",
    "decide",
    "log in",
    "look for a use",
    "retire",
    "finish",
    "log out",
    "end",
}


def failures(outcomes: Sequence[Outcome]) -> str:
    return "\n".join(f"{o.case}: {'; '.join(o.problems)}" for o in outcomes if o.problems)


def steps(outcomes: Sequence[Outcome]) -> set[str]:
    return {outcome.case.moment.step for outcome in outcomes}


@pytest.fixture
def choice(choice_of: Callable[[str | None], Choice]) -> Choice:
    return choice_of(None)


@pytest.fixture
def choice_of(
    long: bool,  # noqa: FBT001 - a fixture
    drawn: Random,
) -> Callable[[str | None], Choice]:
    """Return what chooses the deaths in this step, if not all are wanted."""
    return lambda step: list if long else partial(thinned, drawn=drawn, only=step)


def test_the_next_run_brings_into_order_what_a_killed_one_left(
    tmp_path: Path, transcript: Transcript, crew: Crew, choice: Choice
) -> None:
    outcomes = Matrix(tmp_path, ENV_FILES[:1], transcript, crew).of_rotations(choice)
    assert failures(outcomes) == ""
    assert steps(outcomes) == STEPS_OF_A_ROTATION


def test_a_run_that_is_killed_while_it_ends_an_unused_token_is_finished(
    tmp_path: Path, transcript: Transcript, crew: Crew, choice: Choice
) -> None:
    outcomes = Matrix(tmp_path, ENV_FILES[:1], transcript, crew, UnusedToken).of_rotations(choice)
    assert failures(outcomes) == ""
    assert steps(outcomes) == STEPS_OF_A_RETIREMENT


@pytest.mark.long
def test_a_killed_rotation_whose_old_token_ends_when_it_is_unused_is_finished(
    tmp_path: Path, transcript: Transcript, crew: Crew, choice: Choice
) -> None:
    outcomes = Matrix(tmp_path, ENV_FILES, transcript, crew, Disuse).of_rotations(choice)
    assert failures(outcomes) == ""
    assert STEPS_OF_A_ROTATION - {"retire"} <= steps(outcomes)


def test_a_rotation_that_is_killed_between_its_stores_is_finished(
    tmp_path: Path, transcript: Transcript, crew: Crew, choice_of: Callable[[str], Choice]
) -> None:
    outcomes = Matrix(tmp_path, ENV_FILES, transcript, crew).of_rotations(choice_of("spread"))
    assert failures(outcomes) == ""
    assert {"spread"} <= steps(outcomes) <= STEPS_OF_A_ROTATION | {"spread"}


def test_a_killed_recovery_is_recovered_from_too(
    tmp_path: Path, transcript: Transcript, crew: Crew, choice_of: Callable[[str], Choice]
) -> None:
    outcomes = Matrix(tmp_path, ENV_FILES[:1], transcript, crew).of_recoveries(
        choice_of("clear up")
    )
    assert failures(outcomes) == ""
    assert {"clear up"} <= steps(outcomes) <= STEPS_OF_A_ROTATION | {"clear up"}

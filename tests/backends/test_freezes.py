"""Rotators that are frozen or killed, by the random schedules of tests/backends/freezes.py."""

import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.backends.freezes import Bed, Night, Schedule
from tests.backends.kinds import Site
from tests.support.crew import Crew
from tests.support.transcript import Transcript

_AT_ONCE = 8  # most of their time is sleep


@pytest.fixture
def run(
    new_site: Callable[[str], Site], crew: Crew, tmp_path: Path, transcript: Transcript
) -> Callable[[str, int], Sequence[Night]]:
    """Return what runs so many schedules against stores of a kind."""

    def run(kind: str, count: int) -> Sequence[Night]:
        first = secrets.randbelow(2**32)
        beds = [
            Bed(Schedule.draw(seed), new_site(kind), crew, tmp_path / str(seed))
            for seed in range(first, first + count)
        ]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            nights = list(pool.map(Bed.run, beds))
        for night in nights:
            transcript.secrets |= night.secrets
            transcript.processes += len(night.results)
            for result in night.results:
                transcript.add("rotator rotate, frozen", result.out + result.err)
        return nights

    return run


@pytest.mark.sample(1)
@pytest.mark.parametrize("kind", ["vault", "aws"])
def test_whoever_is_frozen_leaves_a_token_that_works_and_no_other(
    run: Callable[[str, int], Sequence[Night]], kind: str, *, long: bool
) -> None:
    nights = run(kind, 150 if long else 4)
    failed = [night for night in nights if night.problems]
    assert not failed, "\n\n".join((f"{len(failed)} of {len(nights)}", *map(str, failed)))

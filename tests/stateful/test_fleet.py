import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.stateful.machine import FleetMachine

IN_MEMORY = Path("/dev/shm")  # noqa: S108 - only a folder with a random name is made in it


@pytest.fixture(autouse=True)
def _silence() -> Iterator[None]:
    """Thousands of rotations have too much to say."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def folder() -> Iterator[Path]:
    where = IN_MEMORY if os.access(IN_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=where) as name:
        yield Path(name)


def test_whatever_happens_no_bot_is_cut_off_and_no_token_is_left_over(
    folder: Path, *, long: bool
) -> None:
    run_state_machine_as_test(
        lambda: FleetMachine(folder),  # type: ignore[arg-type] # any factory will do
        settings=settings(
            max_examples=1500 if long else 60,
            stateful_step_count=8,
            suppress_health_check=list(HealthCheck),
        ),
    )

from pathlib import Path

import pytest

from tests.doctor.clinic import Clinic
from tests.support.clock import FakeClock
from tests.support.sandbox import Sandbox


@pytest.fixture
def clinic(tmp_path: Path, timed_api: Sandbox, clock: FakeClock) -> Clinic:
    return Clinic(tmp_path, timed_api, clock)

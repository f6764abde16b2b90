from pathlib import Path

import pytest

from rotator.sandbox import Sandbox
from tests.doctor.clinic import Clinic
from tests.support.clock import FakeClock


@pytest.fixture
def clinic(tmp_path: Path, timed_api: Sandbox, clock: FakeClock) -> Clinic:
    return Clinic(tmp_path, timed_api, clock)

from pathlib import Path

import pytest

from tests.leak.site import Site
from tests.support.clock import FakeClock
from tests.support.sandbox import Sandbox


@pytest.fixture
def site(tmp_path: Path, timed_api: Sandbox, clock: FakeClock) -> Site:
    return Site(tmp_path, timed_api, clock)

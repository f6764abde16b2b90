from pathlib import Path

import pytest

from rotator.sandbox import Sandbox
from tests.listing.desk import Desk


@pytest.fixture
def desk(tmp_path: Path, api: Sandbox) -> Desk:
    return Desk(tmp_path, api)

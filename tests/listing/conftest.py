from pathlib import Path

import pytest

from tests.listing.desk import Desk
from tests.support.sandbox import Sandbox


@pytest.fixture
def desk(tmp_path: Path, api: Sandbox) -> Desk:
    return Desk(tmp_path, api)

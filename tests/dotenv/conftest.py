"""Folders for the tests of this store."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Return a folder that other users can reach; pytest's own are closed to them."""
    folder = Path(tempfile.mkdtemp(prefix="rotator-test-"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

IN_MEMORY = Path("/dev/shm")  # noqa: S108 - each test has a folder of its own in it


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that waits for no disk, where there is one: these are a thousand rotations."""
    if not IN_MEMORY.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        yield Path(folder)

"""What the tests of `rotator exec` share."""

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rotator.cli.exec.runtime_folder import is_in_memory

SHM = Path("/dev/shm")  # noqa: S108 - the folders in it are private


def permitted(*spaces: str) -> bool:
    """Tell whether we may make namespaces of these kinds, which takes root in most places."""
    command = ["unshare", *spaces, "true"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder of its own on a file system in memory."""
    if not is_in_memory(SHM):
        pytest.skip("there is no tmpfs at /dev/shm")
    with tempfile.TemporaryDirectory(dir=SHM) as folder:
        yield Path(folder)

import pytest

from tests.support.process import Runner


@pytest.fixture
def bot(rotator: Runner) -> Runner:
    """A folder with nothing in it, and no settings."""
    for path in rotator.folder.iterdir():
        path.unlink()
    rotator.env = {}
    return rotator

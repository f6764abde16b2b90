import pytest

from tests.client.support import Bot
from tests.nocturna.conftest import _environment_of_its_own  # noqa: F401 - a fixture
from tests.support.sandbox import Sandbox


@pytest.fixture
def bot(api: Sandbox) -> Bot:
    return Bot(api, api.issue(days=30))

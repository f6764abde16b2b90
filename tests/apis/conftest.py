from collections.abc import Iterator

import pytest

from tests.apis.pair import Pair
from tests.support.process import Runner
from tests.support.sandbox import Sandbox
from tests.support.transcript import Transcript


@pytest.fixture
def pair(rotator: Runner, transcript: Transcript) -> Iterator[Pair]:
    with Sandbox() as eu, Sandbox() as us:
        yield Pair(rotator, eu, us)
    transcript.secrets |= eu.secrets | us.secrets

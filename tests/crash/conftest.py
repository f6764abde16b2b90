from collections.abc import Iterator

import pytest

from tests.support.crew import Crew


@pytest.fixture(scope="session")
def crew() -> Iterator[Crew]:
    with Crew() as crew:
        yield crew

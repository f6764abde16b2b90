from collections.abc import Iterator

import pytest

from tests.support.crew import ALL_STORES, Crew


@pytest.fixture(scope="session")
def crew() -> Iterator[Crew]:
    with Crew(*ALL_STORES) as crew:
        yield crew

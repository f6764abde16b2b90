from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clock import FakeClock
from tests.support.process import Runner
from tests.support.sandbox import Sandbox
from tests.support.transcript import Transcript

_TRANSCRIPT = pytest.StashKey[Transcript]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "last: runs after all other tests")
    config.stash[_TRANSCRIPT] = Transcript()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Iterator[None]:
    report: pytest.TestReport = yield  # type: ignore[assignment]
    transcript = item.config.stash[_TRANSCRIPT]
    if report.when == "teardown":  # its sections are those of all three phases
        for title, text in report.sections:
            transcript.add(f"{item.nodeid}: {title}", text)
    return report  # type: ignore[return-value]


@pytest.fixture
def transcript(request: pytest.FixtureRequest) -> Transcript:
    return request.config.stash[_TRANSCRIPT]


@pytest.fixture
def api(transcript: Transcript) -> Iterator[Sandbox]:
    """The embedded API on the real clock."""
    with Sandbox() as api:
        yield api
    transcript.secrets |= api.secrets


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def timed_api(clock: FakeClock, transcript: Transcript) -> Iterator[Sandbox]:
    """The embedded API on the fake clock."""
    with Sandbox(clock=clock) as api:
        yield api
    transcript.secrets |= api.secrets


@pytest.fixture
def rotator(tmp_path: Path, api: Sandbox, transcript: Transcript) -> Runner:
    """The installed command, with a `.env` in a folder of its own as its store."""
    runner = Runner(tmp_path, transcript)
    runner.use(api)
    return runner

import gc
import os
import random
import secrets
import shutil
import signal
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.clock import FakeClock
from tests.support.crew import Crew
from tests.support.process import Runner
from tests.support.sandbox import Sandbox
from tests.support.transcript import Transcript

_TRANSCRIPT = pytest.StashKey[Transcript]()
_FOLDER = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run everything: see `make test-long`")


@pytest.hookimpl(tryfirst=True)  # before hypothesis reads its seed
def pytest_configure(config: pytest.Config) -> None:
    config.stash[_TRANSCRIPT] = Transcript()
    # A job in the background and nohup ignore them, and so would the processes that get them here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    # No example may fail because the machine is slow, and each run has others than the last one.
    settings.register_profile(
        "ours",
        deadline=None,
        derandomize=False,
        suppress_health_check=[HealthCheck.too_slow],
        max_examples=300 if config.getoption("--long") else 30,
    )
    settings.load_profile("ours")
    if config.getoption("--hypothesis-seed") is None:
        config.option.hypothesis_seed = str(secrets.randbelow(2**32))

    # Looking for garbage in all that the tests have loaded takes a tenth of their time.
    gc.set_threshold(100_000, 50, 100)
    # Whatever session starts next takes from others the right to search the folder that all share,
    # while a test here becomes somebody who needs it.
    if "PYTEST_DEBUG_TEMPROOT" not in os.environ:
        os.environ["PYTEST_DEBUG_TEMPROOT"] = config.stash[_FOLDER] = tempfile.mkdtemp(prefix="nr-")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    folder = session.config.stash.get(_FOLDER, None)
    if folder and exitstatus == pytest.ExitCode.OK:  # else somebody will look at it
        shutil.rmtree(folder, ignore_errors=True)
    # pytest looks five times for what nobody has closed, and Python once more.
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    seed = config.getoption("--hypothesis-seed")
    terminalreporter.write_line(f"the random examples again: --hypothesis-seed={seed}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--long"):
        left_out = {item for item in items if item.get_closest_marker("long")}
        left_out |= _left_out_of_samples(
            [item for item in items if item not in left_out], config.getoption("--hypothesis-seed")
        )
        config.hook.pytest_deselected(items=[item for item in items if item in left_out])
        items[:] = [item for item in items if item not in left_out]
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


def _left_out_of_samples(items: Sequence[pytest.Item], seed: object) -> set[pytest.Item]:
    """Return all cases but those that the seed draws, of each test or class with a sample."""
    samples: dict[tuple[str, int], list[pytest.Item]] = defaultdict(list)
    for item in items:
        for node, marker in item.iter_markers_with_node("sample"):
            whole = item.nodeid.partition("[")[0] if node is item else node.nodeid
            samples[whole, marker.args[0]].append(item)
    left_out = set()
    for (whole, most), cases in samples.items():
        drawn = random.Random(f"{seed} {whole}").sample(cases, min(most, len(cases)))  # noqa: S311 - no secret
        left_out |= {*cases} - {*drawn}
    return left_out


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


@pytest.fixture(scope="session")
def long(request: pytest.FixtureRequest) -> bool:
    """Whether everything runs, for tests that make more or fewer rounds."""
    return bool(request.config.getoption("--long"))


@pytest.fixture
def drawn(request: pytest.FixtureRequest) -> random.Random:
    """Draw what a test does of all that it does by --long, by the seed that is printed."""
    seed = request.config.getoption("--hypothesis-seed")
    return random.Random(f"{seed} {request.node.nodeid}")  # noqa: S311 - no secret


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


@pytest.fixture(scope="session")
def crew() -> Iterator[Crew]:
    with Crew() as crew:
        yield crew


@pytest.fixture
def rotator(
    tmp_path: Path,
    api: Sandbox,
    transcript: Transcript,
    crew: Crew,
    long: bool,  # noqa: FBT001 - a fixture
) -> Runner:
    """The command, with a `.env` in a folder of its own as its store."""
    runner = Runner(tmp_path, transcript, None if long else crew.start_piped)
    runner.use(api)
    return runner

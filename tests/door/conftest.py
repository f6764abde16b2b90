from pathlib import Path

import pytest

from tests.door.programs import ROOT, TOY, Fresh, Program, broken_toy
from tests.support.sandbox import Sandbox
from tests.support.transcript import Transcript


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Fresh:
    """The rotator, the toy, and toys that are broken, all from wheels."""
    folder = tmp_path_factory.mktemp("fresh")
    fresh = Fresh(folder)
    fresh.install(
        ROOT,
        TOY,
        broken_toy(folder, "rusty", "import no_such_module\n"),
        broken_toy(folder, "bare", "import no_such_sdk.client\n", extra=" [sdk-client]"),
        broken_toy(folder, "rude", "raise SystemExit('hunter2')\n"),
        broken_toy(folder, "hasty", "def open_store(url):\n    raise KeyError('hunter2')\n"),
        broken_toy(folder, "empty", "def open_store(url):\n    pass\n"),
    )
    return fresh


@pytest.fixture
def program(tmp_path: Path, api: Sandbox, transcript: Transcript) -> Program:
    """`python -m rotator` in a folder of its own, with a `.env` as its store."""
    program = Program(tmp_path, transcript)
    program.use(api)
    return program


@pytest.fixture
def installed(program: Program, fresh: Fresh) -> Program:
    """The command `rotator` of the fresh environment."""
    program.command = (fresh.bin / "rotator",)
    return program

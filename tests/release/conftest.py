from collections.abc import Iterator
from pathlib import Path

import pytest

from release.notes import CHANGELOG, OTHERS
from release.source import ROOT, VERSION_FILE, Source, exported
from tests.helm.tools import Tools, unpack
from tests.release.clones import clone


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with one commit: the files of this one, as they are now."""
    return clone(ROOT, tmp_path_factory.mktemp("release") / "repository")


@pytest.fixture(scope="session")
def source(repository: Path) -> Iterator[Source]:
    with exported(repository) as source:
        yield source


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Tools:
    return unpack(tmp_path_factory.mktemp("tools"))


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    """A small repository in which a test may change files: those that name the version."""
    names = (*OTHERS, CHANGELOG, VERSION_FILE, ".gitignore")
    return clone(ROOT, tmp_path / "changed", names)

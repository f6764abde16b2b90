"""What is installed: both packages, the types, the command, and the door for stores."""

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from hatch_build import pages
from rotator import __version__

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as opened:
        yield opened


def test_both_packages_and_their_types_are_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    for name in ("rotator/py.typed", "backends/py.typed", "rotator/config/rotator.schema.json"):
        assert name in names


def test_what_init_fills_in_is_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    shipped = {
        name.removeprefix("rotator/shipped/")
        for name in wheel.namelist()
        if name.startswith("rotator/shipped/")
    }
    tracked = subprocess.run(
        ["git", "ls-files", "cron", "helm", "examples/compose.yaml"],  # noqa: S607 - any git
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    assert shipped == set(tracked.stdout.split())


def test_the_man_pages_are_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    begin = f"nocturna_rotator-{__version__}.data/data/share/man/man1/"
    packed = {name: wheel.read(name).decode() for name in wheel.namelist() if begin in name}
    assert packed == {f"{begin}{name}": page for name, page in pages(ROOT)}


def test_every_module_is_in_the_wheel_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    modules = {str(p.relative_to(ROOT)) for p in ROOT.glob("rotator/**/*.py")}
    modules |= {str(p.relative_to(ROOT)) for p in ROOT.glob("backends/**/*.py")}
    packed = {name for name in wheel.namelist() if name.endswith(".py")}
    assert packed == modules


def test_built_in_stores_come_through_the_door_of_everybody() -> None:
    assert "dotenv" in entry_points(group="rotator.backends").names

"""A whole release, made twice from two clones, and installed where nothing else is."""

import os
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from release.source import ROOT
from rotator import __version__
from tests.image.building import builder
from tests.image.test_image import missing
from tests.release.clones import git
from tests.support.process import Runner
from tests.support.sandbox import Sandbox

pytestmark = pytest.mark.long
HERE = [sys.executable, "-m"]
BUILD = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]


def run(*command: str | Path, **variables: str) -> str:
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **variables},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def releases(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("releases")
    parts, options = ["packages", "chart"], []
    with ExitStack() as stack:
        if not missing():
            builds = stack.enter_context(builder())
            parts.append("image")
            options += [f"--buildah={' '.join(builds.buildah)}", f"--base={builds.base}"]
            options.append(f"--options={' '.join(builds.options)}")
        for number in ("1", "2"):
            git(folder, "clone", "--quiet", str(repository), f"clone-{number}")
            where = (f"--repository={folder}/clone-{number}", f"--out={folder}/{number}")
            run(*HERE, "release", "make", *parts, *where, *options)
    return [folder / "1", folder / "2"]


def test_two_clones_make_the_same_release(releases: list[Path]) -> None:
    one, other = ({path.name: path.read_bytes() for path in each.iterdir()} for each in releases)
    assert {name for name in one if one[name] != other.get(name)} == set()
    assert one.keys() == other.keys()
    names = " ".join(one)
    for end in (".whl ", ".tar.gz ", ".tgz ", ".chart.oci.tar", ".whl.cdx.json", "SHA256SUMS"):
        assert end in f"{names} "


def test_the_sums_are_those_of_all_files(releases: list[Path]) -> None:
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"],  # noqa: S607 - any
        cwd=releases[0],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(": OK\n") == len(list(releases[0].iterdir())) - 1


@pytest.fixture(scope="module")
def others(releases: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the packages need, without them."""
    folder = tmp_path_factory.mktemp("others")
    [wheel] = releases[0].glob("*.whl")
    run(*HERE, "pip", "download", "--quiet", f"--dest={folder}", f"{wheel}[httpx]", *BUILD)
    for own in folder.glob("nocturna*"):
        own.unlink()
    return folder


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_it_is_installed_from_an_index_of_these_files_and_rotates_a_token(  # noqa: PLR0913, PLR0917 - fixtures
    releases: list[Path], others: Path, tmp_path: Path, rotator: Runner, api: Sandbox, kind: str
) -> None:
    python = tmp_path / "environment" / "bin" / "python"
    run(*HERE, "venv", tmp_path / "environment")
    only: Sequence[str] = {"wheel": (), "sdist": ("--no-binary=nocturna-rotator",)}[kind]
    places = (f"--find-links={releases[0]}", f"--find-links={others}")
    run(python, "-m", "pip", "install", "--quiet", "--no-index", *places, *only, "nocturna-rotator")

    command = python.with_name("rotator")
    assert run(command, "--version") == f"rotator, version {__version__}\n"
    assert "The old token stays valid" in run(command, "demo", TMPDIR=str(tmp_path))
    rotator.write_env(api.issue(days=3))
    done = subprocess.run(
        [command, "rotate"],
        cwd=rotator.folder,
        env={**os.environ, **rotator.env},
        check=False,
        capture_output=True,
        text=True,
    )
    rotator.transcript.add(f"rotator of the {kind}", done.stdout + done.stderr)
    assert (done.returncode, done.stderr) == (0, "")
    assert api.tokens[-1].id in done.stdout

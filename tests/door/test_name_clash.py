"""Somebody else's `backends`, where Python looks for ours."""

import shutil
from pathlib import Path

import pytest

from tests.door.programs import ROOT, UNTOLD, Fresh, Program
from tests.support.sandbox import Sandbox

ADVICE = (
    "hides the backends of nocturna-rotator: rename or remove it, or start the command rotator"
    " instead of python -m rotator"
)
SHOUT = "print('theirs is run')\n"


@pytest.fixture
def due(program: Program, api: Sandbox) -> Program:
    program.write_env(api.issue(days=3))
    return program


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("file", "shown"),
    [
        ("backends/__init__.py", "backends"),
        ("backends/dotenv.py", "backends"),
        ("backends.py", "backends.py"),
    ],
    ids=["a package", "a package with a module of the same name", "a module"],
)
def test_a_bots_own_backends_are_named_and_never_run(
    due: Program, api: Sandbox, file: str, shown: str
) -> None:
    for path in {due.folder / file, due.folder / file.replace("dotenv", "__init__")}:
        path.parent.mkdir(exist_ok=True)
        path.write_text(SHOUT)
    before = due.env_file.read_bytes()
    told = f"rotator: error: default: dotenv:.env: {due.folder / shown} {ADVICE}"
    for command, status, more in (("check", 3, ""), ("rotate", 1, UNTOLD)):
        result = due(command)
        assert (result.status, result.err) == (status, f"{told}{more}\n")
        assert "theirs" not in result.out
    assert due.env_file.read_bytes() == before
    assert api.calls == []


def test_the_command_is_not_confused_by_them(installed: Program, api: Sandbox) -> None:
    installed.write_env(api.issue(days=3))
    (installed.folder / "backends").mkdir()
    (installed.folder / "backends/__init__.py").write_text(SHOUT)
    assert installed("rotate").status == 0


@pytest.mark.parametrize("content", [None, "notes.txt"])
def test_a_folder_without_python_in_it_hides_nothing(due: Program, content: str | None) -> None:
    (due.folder / "backends").mkdir()
    if content:
        (due.folder / "backends" / content).touch()
    assert due("rotate").status == 0


def test_the_folder_of_the_rotator_itself_is_no_stranger(due: Program) -> None:
    env_file = str(due.env_file.resolve())
    due.folder = ROOT
    assert due("check", ROTATOR_STORE=f"dotenv://{env_file}").status == 1
    link = Path(env_file).with_name("link")
    link.symlink_to(ROOT)
    due.folder = link
    assert due("check", ROTATOR_STORE=f"dotenv://{env_file}").status == 1


def test_another_package_in_front_of_ours_is_named(installed: Program, api: Sandbox) -> None:
    installed.write_env(api.issue(days=3))
    other = installed.folder / "other"
    (other / "backends").mkdir(parents=True)
    (other / "backends/__init__.py").write_text(SHOUT)
    result = installed("check", PYTHONPATH=str(other))
    assert result.status == 3
    assert result.err == f"rotator: error: default: dotenv:.env: {other / 'backends'} {ADVICE}\n"


def test_another_package_that_was_installed_over_ours_is_named(
    due: Program, fresh: Fresh, tmp_path: Path
) -> None:
    both = tmp_path / "both"
    for name in ("rotator", "backends", "nocturna_rotator-*.dist-info"):
        for found in fresh.site.glob(name):
            shutil.copytree(found, both / found.name)
    (both / "backends/__init__.py").write_text("import no_such_module\n")
    info = both / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "RECORD").write_text("backends/__init__.py,,\n")
    result = due("check", PYTHONPATH=str(both))
    assert result.status == 3
    assert result.err == (
        "rotator: error: default: dotenv:.env: another package (theirs) has put its own backends"
        " over that of nocturna-rotator: uninstall it, and install nocturna-rotator again\n"
    )

"""The man pages, which a wheel's build makes of the commands' help."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from hatch_build import pages
from tests.commands.test_help import EVERY, examples_of

ROOT = Path(__file__).parents[1]
PAGES = dict(pages(ROOT))
# Python as it is in an isolated build: there is nothing but click, and hatchling.
ISOLATED = """
import importlib.abc, sys
KNOWN = {*sys.stdlib_module_names, "click", "hatch_build", "rotator"}
KNOWN |= {"hatchling", "packaging", "pathspec", "pluggy", "trove_classifiers"}
class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in KNOWN:
            raise ModuleNotFoundError(name, name=top)
sys.meta_path.insert(0, Missing())
from pathlib import Path
from hatch_build import pages
print(len(list(pages(Path.cwd()))))
"""


def read(name: str) -> str:
    """Return a page as plain text, as groff lays it out; as it is where there is no groff."""
    page = PAGES[f"{name}.1"]
    if shutil.which("groff") is None:
        return re.sub(r"\\f[BRI]|\\&", "", page.replace(r"\-", "-").replace(r"\(aq", "'"))
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-P-cbou", "-rLL=200n", "-ww"],  # noqa: S607 - any groff
        input=page,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout


def test_there_is_a_page_for_each_command() -> None:
    names = {f"{path.replace(' ', '-')}.1" for path in EVERY}
    assert set(PAGES) == {"rotator.1", *names}


@pytest.mark.parametrize("path", EVERY)
def test_a_page_says_what_the_help_does(path: str) -> None:
    command, text = EVERY[path], read(path.replace(" ", "-"))
    words = " ".join(text.split())
    for paragraph in (command.help or "").split("\n\n"):
        assert " ".join(paragraph.split()) in words
    for call in examples_of(command):
        assert " ".join(call.split()) in words
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.opts[0] in text
    titles = re.findall(r"^[A-Z][A-Z ]+$", text, re.MULTILINE)
    assert titles[:3] == ["NAME", "SYNOPSIS", "DESCRIPTION"]
    assert titles[-2:] == ["EXAMPLES", "SEE ALSO"]


def test_the_first_page_keeps_the_lines_of_its_example() -> None:
    assert "\n           export ROTATOR_STORE=dotenv:.env\n" in read("rotator")


def test_pages_are_the_same_at_every_build() -> None:
    again = dict(pages(ROOT))
    assert again == PAGES
    assert not re.search(
        r"\d{4}-\d\d-\d\d|/work|/home", "".join(PAGES.values()).replace(r"\-", "-")
    )


def test_the_pages_need_click_alone() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ISOLATED], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == (f"{len(PAGES)}\n", "")

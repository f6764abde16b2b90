"""The pictures of the first screen show what the demo prints."""

import re
from pathlib import Path

import pytest

from tests.docs import pictures

REMAKE = "the demo prints something else: python -m tests.docs.pictures draws it"


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("demo")
    return pictures.make_same(pictures.record(folder), folder)


@pytest.mark.sample(1)
@pytest.mark.parametrize("theme", pictures.THEMES)
def test_the_picture_of_the_terminal_is_what_the_demo_prints(shown: str, theme: str) -> None:
    plain = re.sub(r"\x1b\[[\d;]*m", "", shown)
    lines = [line.rstrip() for line in plain.splitlines() if line.strip()]
    found = pictures.read((pictures.FOLDER / f"demo-{theme}.svg").read_text())
    assert [line for line in found if line] == lines, REMAKE


def test_the_colours_of_the_picture_are_those_of_the_terminal(shown: str) -> None:
    for theme, colours in pictures.THEMES.items():
        drawn = pictures.draw(shown, colours)
        kept = (pictures.FOLDER / f"demo-{theme}.svg").read_text()
        assert set(re.findall(r"#[0-9a-f]{6}", drawn)) == set(re.findall(r"#[0-9a-f]{6}", kept))


@pytest.mark.parametrize("file", sorted(pictures.FOLDER.glob("*.svg")), ids=lambda file: file.stem)
def test_a_picture_loads_nothing_from_elsewhere(file: Path) -> None:
    assert set(re.findall(r"(?:url\(|href=|src=)[\"']?[^#]", file.read_text())) == set()


def test_no_line_of_the_demo_is_wider_than_the_terminal(shown: str) -> None:
    plain = re.sub(r"\x1b\[[\d;]*m", "", shown)
    assert max(map(len, plain.splitlines())) <= pictures.WIDTH

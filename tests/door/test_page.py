"""The page about backends shows the toy that the other tests install."""

from tests.door.programs import ROOT, TOY

PAGE = (ROOT / "docs/backends.md").read_text()


def test_the_page_shows_the_code_of_the_toy() -> None:
    code = (TOY / "rotator_shelf.py").read_text()
    shown = code.replace("  # noqa: INP001 - a project of its own", "")
    assert f"```python\n{shown}```" in PAGE


def test_the_page_shows_the_package_of_the_toy() -> None:
    assert f"```toml\n{(TOY / 'pyproject.toml').read_text()}```" in PAGE

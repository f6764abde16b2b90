"""The page about backends shows the toy that the other tests install."""

from tests.door.programs import ROOT, TOY

PAGE = (ROOT / "docs/backends.md").read_text()


def test_the_page_shows_the_code_of_the_toy() -> None:
    for name in ("rotator_shelf.py", "test_rotator_shelf.py"):
        assert f"```python\n{(TOY / name).read_text()}```" in PAGE


def test_the_page_shows_the_package_of_the_toy() -> None:
    assert f"```toml\n{(TOY / 'pyproject.toml').read_text()}```" in PAGE

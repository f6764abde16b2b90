"""The toy keeps the contract, by the five lines that the page about backends shows."""

import importlib.util
from pathlib import Path

import pytest

from rotator.stores.port import parse_url
from rotator.testing import Rig, StoreContract
from tests.door.programs import TOY
from tests.door.test_page import PAGE

_SPEC = importlib.util.spec_from_file_location("rotator_shelf", TOY / "rotator_shelf.py")
assert _SPEC
assert _SPEC.loader
_SHELF = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_SHELF)
open_store = _SHELF.open_store


class TestShelf(StoreContract):
    @pytest.fixture
    def rig(self, tmp_path: Path) -> Rig:
        url = parse_url("shelf:shelf.json#TOKEN", tmp_path)
        return Rig(open=lambda: open_store(url))


def test_the_page_shows_these_lines() -> None:
    lines = Path(__file__).read_text().split("class TestShelf")[1].split("\n\n\n")[0]
    untyped = lines.replace(", tmp_path: Path) -> Rig:", ", tmp_path):")
    assert f"class TestShelf{untyped}" in PAGE

"""A config of many tokens takes time by the token, and not by their square."""

from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from rotator.wiring.selection import select
from tests.config.support import load


def test_the_tokens_of_a_fleet_are_found_by_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = "".join(f'[[token]]\nname = "b{n}"\nstores = ["dotenv:{n}.env"]\n' for n in range(20))
    settings = load(tmp_path, config)
    compared: list[str] = []

    def compare(name: str, pattern: str) -> bool:
        compared.append(name)
        return fnmatchcase(name, pattern)

    monkeypatch.setattr("rotator.wiring.selection.fnmatchcase", compare)
    every = [token.name for token in settings.tokens]
    assert [token.name for token in select(settings, every)] == every
    assert compared == []
    assert [token.name for token in select(settings, ["b1?", "b3"])] == [*every[10:], "b3"]

"""Settings read as the command does, from a folder and variables that a test makes up."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from rotator.config.loader import load_settings
from rotator.config.settings import Settings
from rotator.errors import ConfigError

NOTHING: Mapping[str, str] = {}


def load(
    folder: Path,
    toml: str | bytes | None = None,
    variables: Mapping[str, str] = NOTHING,
    named: str | None = None,
) -> Settings:
    """Put `toml` into the folder's `rotator.toml`, or into the file `named`, and read it."""
    if toml is not None:
        path = folder / (named or "rotator.toml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(toml if isinstance(toml, bytes) else toml.encode())
    return load_settings(Path(named) if named else None, variables, folder)


def mistake(
    folder: Path,
    toml: str | bytes | None = None,
    variables: Mapping[str, str] = NOTHING,
    named: str | None = None,
) -> str:
    """Return the one line about what is wrong."""
    with pytest.raises(ConfigError) as caught:
        load(folder, toml, variables, named)
    assert "\n" not in str(caught.value)
    return str(caught.value)

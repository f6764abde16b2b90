"""Settings read as the command does, from a folder and variables that a test makes up."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from rotator.config.loader import load_settings
from rotator.config.settings import Settings
from rotator.errors import ConfigError
from tests.config.schemas import OF_FILE

NOTHING: Mapping[str, str] = {}
SCHEMA = json.loads(OF_FILE.read_text())
# What relates two values, which no schema can say; and what a backend has against a URL.
_BEYOND = re.compile(
    "expected (at least (rotation_timeout|validity less)|at most validity|more than renew_before"
    "|more than .* after at most"
    "|less than validity|another name|https: http would show|each store once"
    "|whole days from 1d to 365d$|nothing beside)"
    r'|api: found (nothing|"[A-Za-z0-9][A-Za-z0-9._-]*"), expected'
    "|stores: (found .* a second time|a dotenv: store|after the `#` of a dotenv: store)"
    "|cannot read it|found broken TOML|found .token., |bytes that are not UTF-8, expected TOML"
    "|too large"
    "|^environment: "
)


def _is_like(
    _validator: object, pattern: str, found: object, _schema: object
) -> Iterator[ValidationError]:
    """Look for a pattern as JavaScript does, where `$` is the very end."""
    if isinstance(found, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), found):
        yield ValidationError(f"{found!r} is not like {pattern!r}")


_VALIDATOR = extend(Draft7Validator, {"pattern": _is_like})(SCHEMA)


def schema_faults(tables: Mapping[str, Any]) -> list[str]:
    """Return what the schema has against a config."""
    return [error.message for error in _VALIDATOR.iter_errors(tables)]


def is_beyond(mistake: str) -> bool:
    """Tell whether a mistake is none that the schema can see."""
    return _BEYOND.search(mistake) is not None


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
    settings = load_settings(Path(named) if named else None, variables, folder)
    if toml is not None:
        assert schema_faults(_parse(toml)) == []
    return settings


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
    if toml is not None and not is_beyond(str(caught.value)):
        assert schema_faults(_parse(toml)) != []
    return str(caught.value)


def _parse(toml: str | bytes) -> dict[str, Any]:
    return tomllib.loads(toml.decode("utf-8-sig") if isinstance(toml, bytes) else toml)

"""The schemas of rotator.toml and of the chart's config, made of the one table: `make schemas`."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rotator.config.keys import (
    API_KEYS,
    LIMIT_KEYS,
    NAMED_API_KEYS,
    REQUIRED_KEYS,
    TABLES,
    TOKEN_KEYS,
    Key,
)

ROOT = Path(__file__).parents[2]
OF_FILE = ROOT / "rotator/config/rotator.schema.json"
OF_CHART = ROOT / "helm/rotator/values.schema.json"
_DIALECT = "http://json-schema.org/draft-07/schema#"  # the newest that editors of TOML know
# What the chart's templates refuse in a sentence, which Helm would not; nor does it hide a value.
_OF_TEMPLATES = ("pattern", "not", "allOf")


def schema_of_file() -> dict[str, Any]:
    """Return the schema of rotator.toml."""
    api = _table(API_KEYS, "Where the API is, and how the rotator logs in.")
    named = _table(NAMED_API_KEYS, "One of several APIs, to which tokens refer by its name.")
    named["required"] = ["name"]
    doubles = (["admin_email", "admin_email_file"], ["admin_password", "admin_password_file"])
    for each in (api, named):
        each["allOf"] = [{"not": {"required": both}} for both in doubles]
    token = _table(TABLES["token"], "A token, and the stores that hold it.")
    token["required"] = [key.name for key in REQUIRED_KEYS]
    return {
        "$schema": _DIALECT,
        "title": "rotator.toml",
        "description": "The settings of the Nocturna token rotator.",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "api": {"anyOf": [api, {"type": "array", "minItems": 1, "items": named}]},
            "limits": _table(LIMIT_KEYS, "How much is done at the same time."),
            "defaults": _table(TOKEN_KEYS, "For the tokens that do not set these keys."),
            "token": {"type": "array", "items": token},
        },
    }


def schema_of_chart() -> dict[str, Any]:
    """Return the chart's schema, with `config` made anew."""
    schema: dict[str, Any] = json.loads(OF_CHART.read_text())
    tables = schema_of_file()["properties"]
    tables["tokens"] = tables.pop("token")
    tables["api"], tables["apis"] = tables["api"]["anyOf"]
    tables["api"]["required"] = ["url"]
    del tables["apis"]["minItems"]
    config = {
        "type": "object",
        "additionalProperties": False,
        "properties": _without_patterns(tables),
        "required": [name for name in tables if name not in ("apis", "limits")],
    }
    schema["properties"]["config"] = config
    return schema


def as_text(schema: Mapping[str, Any]) -> str:
    return json.dumps(schema, indent=2) + "\n"


def _table(keys: Iterable[Key], description: str) -> dict[str, Any]:
    return {
        "type": "object",
        "description": description,
        "additionalProperties": False,
        "properties": {key.name: _describe(key) for key in keys},
    }


def _describe(key: Key) -> dict[str, Any]:
    default = {} if key.default_value is None else {"default": key.default_value}
    meaning = key.meaning.replace("`", "")
    return {"description": f"{meaning[0].upper()}{meaning[1:]}.", **default, **key.schema}


def _without_patterns(schema: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(schema, list):
        return [_without_patterns(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: each for key, each in schema.items() if key not in _OF_TEMPLATES}
    return {key: _without_patterns(each) for key, each in kept.items()}


if __name__ == "__main__":
    OF_FILE.write_text(as_text(schema_of_file()))
    OF_CHART.write_text(as_text(schema_of_chart()))

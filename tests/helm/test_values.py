"""values.yaml, its schema and the templates know the same values."""

import json
import re
from typing import Any

import yaml

from rotator.config.keys import API_KEYS, TOKEN_KEYS
from tests.helm.chart import CHART

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
TEMPLATES = "".join(
    path.read_text() for path in sorted(CHART.glob("templates/**/*")) if path.is_file()
)
# Helm gives this one to every chart that is part of another.
OF_HELM = {"global"}
# Rendered key by key into rotator.toml.
WHOLE = {"config.api", "config.defaults", "config.tokens"}


def leaves(schema: dict[str, Any], place: str = "") -> set[str]:
    """Return the values that the schema takes as a whole."""
    if "properties" not in schema or place in WHOLE:
        return {place}
    below = {f"{place}.{key}".lstrip("."): each for key, each in schema["properties"].items()}
    return set().union(*(leaves(each, name) for name, each in below.items()))


def given(values: object, known: set[str], place: str = "") -> set[str]:
    """Return the values that stand in values.yaml, down to those that the schema takes whole."""
    if place in known or not isinstance(values, dict):
        return {place}
    below = {f"{place}.{key}".lstrip("."): each for key, each in values.items()}
    return set().union(*(given(each, known, name) for name, each in below.items()))


def used() -> set[str]:
    """Return the values that a template names; of a part of the config that is the config."""
    names = set(re.findall(r"\.Values\.([A-Za-z.]*[A-Za-z])", TEMPLATES))
    named_within = {"config.api": r"config\.api\..*", "config.defaults": r"config\.defaults\..*"}
    return {
        next((whole for whole, form in named_within.items() if re.fullmatch(form, name)), name)
        for name in names
    }


def test_every_value_has_a_default_and_a_schema() -> None:
    known = leaves(SCHEMA) - OF_HELM
    assert given(VALUES, known) == known


def test_every_value_is_used_and_the_schema_knows_all_that_are_used() -> None:
    assert used() == leaves(SCHEMA) - OF_HELM


def test_nothing_is_used_in_a_way_that_this_test_cannot_see() -> None:
    # `with .Values.cronJob` would hide which of its values are used.
    parts = {
        name.rsplit(".", depth)[0] for name in leaves(SCHEMA) for depth in (1, 2) if "." in name
    }
    shortened = [
        part for part in parts - WHOLE if re.search(rf"\.Values\.{part}\b(?!\.)", TEMPLATES)
    ]
    assert shortened == []
    assert not re.search(r"\.Values(?!\.)", TEMPLATES)


def test_no_object_takes_a_key_that_it_does_not_know() -> None:
    def objects(schema: dict[str, Any]) -> list[dict[str, Any]]:
        below = [*schema.get("properties", {}).values()]
        below += [schema["items"]] if "items" in schema else []
        inner = [each for part in below for each in objects(part)]
        return [schema, *inner] if "properties" in schema else inner

    # Of these Kubernetes knows more keys than their name.
    kubernetes = {("name",), ("name", "mountPath")}
    ours = [each for each in objects(SCHEMA) if tuple(each["properties"]) not in kubernetes]
    assert [each for each in ours if each.get("additionalProperties") is not False] == []


def test_the_schema_knows_the_keys_of_the_config() -> None:
    config = SCHEMA["properties"]["config"]["properties"]
    assert set(config["api"]["properties"]) == set(API_KEYS)
    assert set(config["defaults"]["properties"]) == set(TOKEN_KEYS)
    assert set(config["tokens"]["items"]["properties"]) == {"name", "stores", *TOKEN_KEYS}

"""values.yaml, its schema and the templates know the same values."""

import json
import re
from typing import Any

import pytest
import yaml

from rotator.config.keys import TABLES, TOKEN_KEYS
from rotator.config.values import Value
from rotator.errors import ConfigError
from tests.helm.chart import CHART

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
TEMPLATES = "".join(
    path.read_text() for path in sorted(CHART.glob("templates/**/*")) if path.is_file()
)
# Rendered key by key into rotator.toml.
WHOLE = {"config.api", "config.apis", "config.limits", "config.defaults", "config.tokens"}


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
    known = leaves(SCHEMA)
    assert given(VALUES, known) == known


def test_every_value_is_used_and_the_schema_knows_all_that_are_used() -> None:
    assert used() == leaves(SCHEMA)


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
        items = schema.get("items", [])
        below += items if isinstance(items, list) else [items]
        inner = [each for part in below for each in objects(part)]
        return [schema, *inner] if "properties" in schema else inner

    # Of these Kubernetes, and a chart that has this one in it, know more keys.
    others = {("name",), ("name", "mountPath"), ("imageRegistry",)}
    ours = [each for each in objects(SCHEMA) if tuple(each["properties"]) not in others]
    assert [each for each in ours if each.get("additionalProperties") is not False] == []


# Of what the templates check, so that a mistake is told before anything is installed.
PATTERNS = {
    "name": r'\$token\.name "([^"]+)"',
    "renew_before": r'\(get \$token \.\) "([^"]+)"',
    "retire": r'\$token\.retire "([^"]+)"',
    "restart": r'restart" \$place\) \. "([^"]+)"',
}
SAMPLES = [
    *("7d", "12h", "90m", "30s", "999999s", "1000000s", "0d", "07d", "7", "d", "-1d", "7d ", " 7d"),
    *("7w", "7D", "1d12h", "", "never", "now", "Now", "later", "luna-bot", "9.a_b-C", "-luna", "ä"),
    *("unused 24h", "unused 60m, at most 30d", "unused 3600s", "unused 59m", "unused 3599s"),
    *("unused", "unused 1w", "unused 1d at most 2d", "unused 1d, at most", "unused 1d,at most 2d"),
    *("x" * 64, "x" * 65, "a b", "deployment/luna", "bots/statefulset/a.b-1", "daemonset/x", "x"),
    *("pod/luna", "deployment/", "/deployment/luna", "a/deployment/b/c", "Deployment/luna"),
]


@pytest.mark.parametrize("name", PATTERNS)
def test_the_templates_refuse_what_the_rotator_refuses(name: str) -> None:
    [pattern] = re.findall(PATTERNS[name], TEMPLATES)
    [key] = [each for each in TABLES["token"] if each.name == name]

    def is_taken(sample: str) -> bool:
        raw = [sample] if name == "restart" else sample
        try:
            key.parse(Value("here", raw, key.expected, CHART, key.parse))
        except ConfigError:
            return False
        return True

    assert [s for s in SAMPLES if re.search(pattern, s)] == list(filter(is_taken, SAMPLES))


def test_the_templates_know_the_defaults_of_the_rotator() -> None:
    (usual,) = re.findall(r"\$usual := dict (.*) -", TEMPLATES)
    pairs = dict(re.findall(r'"(\w+)" "(\w+)"', usual))
    assert pairs == {key.name: key.default for key in TOKEN_KEYS if key.name in pairs}

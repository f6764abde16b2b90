"""The schema of rotator.toml says what the loader says: both ways, as far as a schema can.

`tests.config.support` compares them for each config of the other tests, too.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from rotator import wiring
from rotator.cli.config import list_lines
from rotator.config.keys import (
    API_KEYS,
    LIMIT_KEYS,
    NAMED_API_KEYS,
    REQUIRED_KEYS,
    TOKEN_KEYS,
    Key,
)
from rotator.config.loader import read_settings
from rotator.errors import MistakesError
from tests.config.schemas import OF_CHART, OF_FILE, as_text, schema_of_chart, schema_of_file
from tests.config.support import SCHEMA, is_beyond, schema_faults


def test_the_files_are_made_of_the_table_of_keys() -> None:
    hint = "run make schemas"
    assert OF_FILE.read_text() == as_text(schema_of_file()), hint
    assert OF_CHART.read_text() == as_text(schema_of_chart()), hint
    Draft7Validator.check_schema(SCHEMA)


def as_toml(tables: Mapping[str, Any]) -> str:
    """Write tables as TOML, whose texts and lists are those of JSON."""

    def table(head: str, values: Mapping[str, Any]) -> str:
        lines = (f"{name} = {json.dumps(value)}\n" for name, value in values.items())
        return f"{head}\n{''.join(lines)}"

    return "".join(
        "".join(table(f"[[{name}]]", each) for each in values)
        if isinstance(values, list)
        else table(f"[{name}]", values)
        for name, values in tables.items()
    )


def find_mistakes(folder: Path, tables: Mapping[str, Any]) -> list[str]:
    """Return what the program has against these tables as a file, store URLs included."""
    (folder / "rotator.toml").write_text(as_toml(tables), "utf-8")
    try:
        reading = read_settings(None, {}, folder)
    except MistakesError as error:
        return list(error.mistakes)
    if not reading.mistakes:  # what is accepted can be shown
        assert json.dumps([line.value for line in list_lines(reading)])
    return [*reading.mistakes, *wiring.open_stores(reading.settings)[1]]


_ALPHABET = "aZ09äß .:/@#?-_,[]=+~\t\n\r\x00\x1f\x7f"
JUNK: st.SearchStrategy[Any] = st.one_of(
    st.text(_ALPHABET, max_size=9), st.integers(), st.booleans(), st.just([]), st.just({"a": 1})
)
TEXTS = st.text(_ALPHABET, max_size=12)
SPANS = st.builds("{}{}".format, st.integers(0, 1_000_001), st.sampled_from("dhmsDw")) | (
    st.sampled_from(("7d", "90d", "2m", "1h", "24h", "3600s", "365d", "366d", "60m", "61m", "07d"))
)
LABELS = st.text("ab0-.", max_size=4) | st.sampled_from(("x" * 63, "x" * 64, "x" * 253, "x" * 254))
KINDS = st.sampled_from(("deployment", "statefulset", "daemonset", "pod", "Deployment"))
HOSTS = st.sampled_from(
    ("localhost", "a.example", "[::1]", "[::1", "127.0.0.1", "", "a b", "ä.example", "x@y", "a:b")
)
PORTS = st.sampled_from(("", ":", ":1", ":0", ":00", ":080", ":65535", ":65536", ":99999", ":x"))
API_URLS = st.builds(
    "{}://{}{}{}{}".format,
    st.sampled_from(("https", "http", "HTTPS", "ftp", "")),
    *(HOSTS, PORTS, st.sampled_from(("", "/", "/api", "/api//", "/a b", "/a@b"))),
    st.sampled_from(("", "", "", "?", "#", "?a=b", "#x", "\n")),
)
STORES = st.one_of(
    st.builds("dotenv:{}{}".format, st.text("a/.@", max_size=6), st.sampled_from(("", "#A", "#"))),
    st.builds("DotEnv:{}".format, TEXTS),
    st.sampled_from(("dotenv:///a/.env#B", "dotenv://u:p@h/.env", "dotenv://a/b@c", "dotenv:", "")),
)
PASSWORD_STORES = st.builds(
    "{}{}{}".format,
    st.sampled_from(
        ("vault://a/b", "aws-secretsmanager://a", "aws-ssm:/a", "AWS-SecretsManager:a", "a b", "x:")
    ),
    st.sampled_from(("", "#", "#field", "#a b", "#a#b", "#a\n")),
    st.sampled_from(("", " ", "\x00")),
)
NOTICES = st.builds("{}://{}".format, st.sampled_from(("slack", "x-1", "1x", "")), TEXTS)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "url": API_URLS,
    "admin_email": TEXTS | st.sampled_from(("a@b", "a\n", "\n", "a\x80")),
    "admin_email_file": TEXTS,
    "admin_password": PASSWORD_STORES,
    "admin_password_file": TEXTS,
    "allow_insecure_http": st.booleans(),
    "connections": st.integers(-1, 101),
    "store_connections": st.integers(-1, 101),
    "stores": st.lists(STORES, max_size=3),
    "name": st.text("aZ0._-/ä\n", max_size=5) | st.sampled_from(("x" * 64, "x" * 65)),
    "renew_before": SPANS,
    "spread": st.builds("{}%".format, st.integers(-1, 11)) | st.sampled_from(("01%", "5", "5.5%")),
    "at_most": st.integers(-1, 3)
    | st.builds("{} per {}".format, st.integers(0, 9), st.sampled_from(("team", "2nd", "x" * 41))),
    "validity": SPANS,
    "scope": TEXTS | st.sampled_from(("calculations", "eyJhbGciOiJIUzI1NiJ9.e30.x", " ")),
    "retire": SPANS
    | st.sampled_from(("never", "now", "Never"))
    | st.builds("unused {}".format, SPANS)
    | st.builds("unused {}, at most {}".format, SPANS, SPANS),
    "probe": st.booleans(),
    "rotation_timeout": SPANS | st.builds("{}s".format, st.integers(0, 4000)),
    "hooks": st.lists(st.lists(TEXTS | st.integers(0, 3), max_size=3), max_size=2),
    "hook_timeout": SPANS | st.builds("{}m".format, st.integers(0, 99)),
    "notify_on": st.lists(
        st.sampled_from(["rotated", "failed", "owed-in-use", "test", "", 5]), max_size=3
    ),
    "notify": st.lists(NOTICES, max_size=2),
    "restart": st.lists(
        st.builds("{}/{}".format, KINDS, LABELS)
        | st.builds("{}/{}/{}".format, LABELS, KINDS, LABELS),
        max_size=2,
    ),
    "max_age": SPANS,
    "labels": st.dictionaries(
        st.sampled_from(["team", "_t", "T1", "2nd", "a-b", "", "x" * 40, "x" * 41]),
        st.sampled_from(["stars", "a b", "ü=|", " ", "", "x" * 60, "x" * 61, 5, True, []]),
        max_size=2,
    ),
    "allow_eternal": st.booleans(),
    "rehearse": st.booleans(),
    "api": st.sampled_from(["eu", "us", "a b", "", 5]),
}
# So that other mistakes have a chance to be the only one.
RIGHT = {"name": "luna", "stores": ["dotenv:.env"], "renew_before": "2h", "validity": "365d"}


@st.composite
def a_table(draw: st.DrawFn, keys: tuple[Key, ...], right: Mapping[str, Any]) -> dict[str, Any]:
    changed = draw(st.lists(st.sampled_from([key.name for key in keys]), max_size=2, unique=True))
    table = dict(right) | {name: draw(VALUES[name]) for name in changed}
    if draw(st.integers(0, 9)) == 0:
        table[draw(st.sampled_from([*table, "unknown"]))] = draw(JUNK)
    if draw(st.integers(0, 9)) == 0 and table:
        table.pop(draw(st.sampled_from(list(table))))
    return table


CONFIGS = st.fixed_dictionaries(
    {},
    optional={
        "api": a_table(API_KEYS, {})
        | st.lists(a_table(NAMED_API_KEYS, {"name": "eu"}), min_size=1, max_size=2),
        "limits": a_table(LIMIT_KEYS, {}),
        "defaults": a_table(TOKEN_KEYS, {}),
        "token": st.lists(a_table((*REQUIRED_KEYS, *TOKEN_KEYS), RIGHT), max_size=2),
    },
)


@given(tables=CONFIGS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@example(tables={"api": {"admin_email": "a", "admin_email_file": "b"}})
@example(tables={"token": [{**RIGHT, "stores": ["dotenv:.env", "dotenv:.env"]}]})
def test_the_schema_refuses_what_the_loader_refuses_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, tables: dict[str, Any]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    mistakes = find_mistakes(folder, tables)
    faults = schema_faults(tables)
    if not mistakes:
        assert faults == []
    elif not faults:
        assert [each for each in mistakes if not is_beyond(each)] == []

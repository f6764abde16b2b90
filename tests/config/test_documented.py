"""The one table of keys agrees with the documentation and with the settings' own defaults."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from rotator.config.keys import API_KEYS, LIMIT_KEYS, TABLES, TOKEN_KEYS, Key
from rotator.config.settings import ApiSettings, Settings, TokenSettings
from rotator.config.values import Value

PAGE = Path(__file__).parents[2] / "docs/configuration.md"


def code(text: str) -> str:
    return f"`{text}`" if text else "–"


def table(keys: Iterable[Key]) -> str:
    head = ("| key | variable | meaning | default |", "|---|---|---|---|")
    rows: list[str] = []
    for key in keys:
        end = f"{key.meaning} | {code(key.default)} |"
        if key.variable_meaning:
            rows.append(f"| `{key.name}` | – | {end}")
            rows.append(f"| – | `{key.variable}` | {key.variable_meaning} | – |")
        else:
            rows.append(f"| `{key.name}` | {code(key.variable)} | {end}")
    return "\n".join((*head, *rows))


@pytest.mark.parametrize(
    "keys", [API_KEYS, LIMIT_KEYS, TABLES["token"]], ids=["api", "limits", "token"]
)
def test_the_page_shows_the_table_of_keys(keys: tuple[Key, ...]) -> None:
    assert f"\n{table(keys)}\n" in PAGE.read_text()


DEFAULTS = {
    **TokenSettings._field_defaults,
    "connections": ApiSettings().connections,
    "store_connections": Settings._field_defaults["store_connections"],
}
COUNTS = [key for key in (*API_KEYS, *LIMIT_KEYS) if key.default.isdecimal()]


@pytest.mark.parametrize("key", [*TOKEN_KEYS, *COUNTS], ids=lambda key: key.name)
def test_the_default_is_that_of_the_settings(key: Key) -> None:
    default = DEFAULTS[key.name]
    if key.default:
        value = Value("here", key.default_value, key.expected, Path(), key.parse)
        assert key.parse(value) == default
    else:
        assert not default

"""A table of settings that hands out checked values, and names the place of each mistake."""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta

from rotator.clock import parse_duration
from rotator.errors import ConfigError, nearest, quote_value


class Section:
    """Values by key; `label` turns a key into the place that a message names."""

    def __init__(self, values: Mapping[str, object], label: Callable[[str], str]) -> None:
        self.values = values
        self._label = label

    def over(self, fallback: "Section") -> "Section":
        """Return a section in which a missing key is looked up in `fallback`, place included."""

        def label(key: str) -> str:
            return self.place(key) if key in self.values else fallback.place(key)

        return Section({**fallback.values, **self.values}, label)

    def place(self, key: str) -> str:
        """Return where that key stands, for a message."""
        return self._label(key)

    def __contains__(self, key: str) -> bool:
        """Tell whether the key is given."""
        return key in self.values

    def only(self, known: Iterable[str]) -> "Section":
        """Return self; raise `ConfigError` for a key that nobody knows, with the nearest one."""
        keys = tuple(known)
        for key in self.values:
            if key not in keys:
                expected = nearest(key, keys) or f"one of: {', '.join(keys)}"
                raise ConfigError(f"{self.place(key)}: found an unknown key, expected {expected}")
        return self

    def wrong(self, key: str, expected: str) -> ConfigError:
        """Return the error for a value that is not what it should be."""
        return ConfigError(
            f"{self.place(key)}: found {quote_value(self.values[key])}, expected {expected}"
        )

    def raw(self, key: str) -> object:
        """Return the value as it stands, None where it is not given."""
        return self.values.get(key)

    def table(self, key: str) -> dict[str, object]:
        """Return a table, empty where it is not given."""
        value = self.values.get(key, {})
        if not isinstance(value, dict):
            raise self.wrong(key, f"a table: [{key}]")
        return value

    def tables(self, key: str) -> list[dict[str, object]]:
        """Return a list of tables, empty where it is not given."""
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise self.wrong(key, f"a list of tables: [[{key}]]")
        return value

    def text(self, key: str, expected: str = "a text") -> str | None:
        """Return a non-empty, printable text on one line, or None where it is not given."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            raise self.wrong(key, expected)
        return value

    def duration(self, key: str, default: timedelta) -> timedelta:
        """Return a duration such as `7d`."""
        if key not in self.values:
            return default
        value = self.values[key]
        try:
            return parse_duration(value if isinstance(value, str) else "")
        except ValueError as error:
            raise self.wrong(key, str(error)) from None

    def flag(self, key: str, *, default: bool) -> bool:
        """Return true or false."""
        value = self.values.get(key, default)
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return value

    def texts(self, key: str, expected: str) -> tuple[str, ...]:
        """Return a list of one or more texts."""
        value = self.values.get(key)
        if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
            if key not in self.values:
                raise ConfigError(f"{self.place(key)}: found nothing, expected {expected}")
            raise self.wrong(key, expected)
        return tuple(value)

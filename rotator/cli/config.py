"""`rotator config`: the settings themselves, with no token looked at."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click

from rotator import wiring
from rotator.cli import exit_codes, options, output
from rotator.config.keys import API_KEYS, LIMIT_KEYS, NAMED_API_KEYS, SCHEMA, TABLES, Key
from rotator.config.loader import Reading
from rotator.config.reader import Values
from rotator.config.settings import StoredSecret
from rotator.config.values import Value
from rotator.errors import ConfigError, MistakesError, hide_tokens
from rotator.wiring import requirements

_HIDDEN = "…"
_WIDTH = 56  # of a line, without its source
_USER = re.compile("(?<=//)[^/?#]*@")


class Line(NamedTuple):
    """A setting in force; `place` is what sets it, None for a default. Secrets are hidden.

    `api` is the name of the API that it is a setting of, if that has one.
    """

    token: str | None
    key: str
    value: Any
    place: str | None
    api: str | None = None

    def to_json(self) -> Mapping[str, Any]:
        fields = self._asdict()
        return fields if self.api else {name: fields[name] for name in fields if name != "api"}


@options.examples("rotator config check", "rotator config show")
@click.group("config")
def command() -> None:
    """Check and show the settings."""


@options.examples("rotator config check", "rotator config check --config rotator.toml")
@command.command()
@options.with_config()
def check(config: Path | None) -> int:
    """Tell every mistake in the settings, a line for each.

    A line names the file or variable, the key, what was found, and what was expected. All is told
    for which rotate would refuse the settings, also what is missing. Neither the API nor a store is
    asked: for that, see rotator doctor.

    Exits 0 without a mistake, else 2.
    """
    try:
        reading = options.read(config)
    except MistakesError as error:
        return _show_mistakes(error.mistakes)
    options.forbid_core_dump(reading.settings)
    if mistakes := [*reading.mistakes, *wiring.find_mistakes(reading.settings)]:
        return _show_mistakes(mistakes)
    count = len(reading.settings.tokens)
    place = reading.settings.apis[0].file or "environment"
    output.write_lines([f"{place}: no mistakes, {count} token{'' if count == 1 else 's'}"])
    return exit_codes.OK


def _show_mistakes(mistakes: Iterable[str]) -> int:
    output.write_lines(dict.fromkeys(mistakes))
    return exit_codes.USAGE


@options.examples("rotator config show", "rotator config show --json")
@command.command()
@options.as_json
@options.with_config()
def show(config: Path | None, *, as_json: bool) -> int:
    """Print the settings in force, and where each comes from.

    The output is a rotator.toml: the environment and the defaults are merged into it, and a comment
    names the file, the variable or the default that each value comes from. "…" stands for what is
    never shown: the e-mail, a password, URLs of notices, and arguments of hooks.

    Exits 0, or 2 when a value is wrong. What is missing, such as a file, tells config check alone.
    """
    reading = options.read(config)
    options.forbid_core_dump(reading.settings)
    if reading.mistakes:
        raise MistakesError(reading.mistakes)
    lines = list(list_lines(reading))
    output.write(output.as_json(lines) if as_json else _as_toml(lines))
    return exit_codes.OK


@options.examples(
    "rotator config schema > rotator.schema.json",
    "rotator config schema | grep -A3 renew_before",
)
@command.command()
def schema() -> int:
    """Print the JSON Schema of rotator.toml, for editors that complete and check it.

    A rotator.toml names its schema in its first line. rotator init names the installed one; a
    copy beside the file is named by #:schema ./rotator.schema.json.
    """
    output.write(SCHEMA.read_text("utf-8"))
    return exit_codes.OK


def list_lines(reading: Reading) -> Iterator[Line]:
    """Yield every setting: those of the API, then those of each token."""
    for api, given in zip(reading.settings.apis, reading.apis, strict=True):
        stored = api.admin_password
        for line in _list_table(NAMED_API_KEYS if api.name else API_KEYS, given, None):
            shown = line._replace(api=api.name or None)
            if line.key == "admin_password" and isinstance(stored, StoredSecret):
                shown = shown._replace(value=_name_store(stored))
            yield shown
    yield from _list_table(LIMIT_KEYS, reading.limits, None)
    keys = sorted(TABLES["token"], key=lambda key: key.name != "name")
    for token, values in zip(reading.settings.tokens, reading.tokens, strict=True):
        yield from _list_table(keys, values, token.name)


def _list_table(keys: Iterable[Key], values: Values, token: str | None) -> Iterator[Line]:
    for key in keys:
        if key.name in values:
            value = values[key.name]
            yield Line(token, key.name, _show(key, value), value.place)
        else:
            yield Line(token, key.name, key.default_value, None)


def _show(key: Key, value: Value) -> Any:  # noqa: ANN401 - as in a file
    parsed = value.parse(value)
    if key.name == "hooks":
        return [[_clean(hook[0]), *[_HIDDEN] * (len(hook) - 1)] for hook in parsed]
    if isinstance(value.raw, dict):
        return dict(value.raw)
    if type(parsed) is tuple:  # not a value that has parts
        return [_HIDDEN if key.is_private else _clean(each) for each in parsed]
    for plain in (parsed, value.raw):
        if isinstance(plain, int):  # or true and false
            return plain
    return _HIDDEN if key.is_private else _clean(value.raw)


def _clean(text: str) -> str:
    return _USER.sub(f"{_HIDDEN}@", hide_tokens(text))


def _name_store(stored: StoredSecret) -> str:
    """Return the store's address; a text that no store serves may be the password itself."""
    try:
        return requirements.open_password_store(stored).url
    except ConfigError:
        return _HIDDEN


def _as_toml(lines: Iterable[Line]) -> str:
    text, table = "", ""
    for line in lines:
        head = _head_of(line)
        if head != table:
            text += ("\n" if text else "") + f"{head.partition(' ')[0]}\n"
            table = head
        if line.value is not None:
            setting = f"{line.key} = {_as_toml_value(line.value)}"
            place = (line.place or "default").removesuffix(f" {line.key}")
            text += f"{setting:<{_WIDTH}} # {place}\n"
    return text


def _head_of(line: Line) -> str:
    """Return the head of the table, and behind a space whose it is."""
    if line.token or line.api:
        return f"[[token]] {line.token}" if line.token else f"[[api]] {line.api}"
    return "[limits]" if line.key in {limit.name for limit in LIMIT_KEYS} else "[api]"


def _as_toml_value(value: object) -> str:
    if isinstance(value, dict):
        inner = ", ".join(f"{name} = {_as_toml_value(each)}" for name, each in value.items())
        return f"{{ {inner} }}"
    return json.dumps(value, ensure_ascii=False)  # JSON's texts and lists are TOML's

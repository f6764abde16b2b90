"""What `rotator init` writes: a rotator.toml, a [[token]] more in one, or lines of environment."""

from __future__ import annotations

import json
import re
import shlex
import textwrap
import tomllib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rotator.config.keys import API_KEYS, SCHEMA, TABLES, TOKEN_KEYS, Key
from rotator.errors import ConfigError

if TYPE_CHECKING:
    from tomlkit.items import Item

_HEAD = """\
#:schema {schema}
# The settings of the Nocturna token rotator, begun by rotator init. Mistakes in them are found by
# rotator config check; what is in force is shown by rotator config show.
"""
_DEFAULTS = """\
# What a [[token]] does not set, and which value it then has:
# [defaults]
"""
_MARK = "\ufeff"  # with which some editors begin a file
Table = Mapping[str, str | list[str]]


def new_document(api: Table, token: Table) -> str:
    """Return a commented rotator.toml with one token."""
    rest = "".join(
        f"# {key.name} = {json.dumps(key.default_value)}\n{_comment(key, '#     ')}"
        for key in TOKEN_KEYS
        if key.default_value is not None
    )
    return "\n".join(
        (
            _HEAD.format(schema=SCHEMA.as_uri()),
            f"[api]\n{_lines('api', api)}",
            f"{_DEFAULTS}{rest}",
            f"[[token]]\n{_lines('token', token)}",
        )
    )


def read_tables(text: str) -> dict[str, Any]:
    """Return the tables of a rotator.toml."""
    return tomllib.loads(text.removeprefix(_MARK))


def add_token(text: str, token: Table) -> str:
    """Return a rotator.toml with one token more; the rest of it stays as it is.

    Raises `ConfigError` for one in which no place is found for it.
    """
    import tomlkit  # noqa: PLC0415 - costs 50 ms, and only this needs it
    from tomlkit.exceptions import TOMLKitError  # noqa: PLC0415 - (the same)
    from tomlkit.items import AoT  # noqa: PLC0415 - (the same)

    before = read_tables(text)
    wanted = {**before, "token": [*before.get("token", ()), dict(token)]}
    try:
        document = tomlkit.parse(text.removeprefix(_MARK))
        if "token" not in document and text.strip():
            document.add(tomlkit.nl())
        tables = document.setdefault("token", tomlkit.aot())
        is_inline = not isinstance(tables, AoT)
        table = tomlkit.inline_table() if is_inline else tomlkit.table()
        table.update(token)
        if tables and not is_inline:
            # What stands below a blank line belongs to what follows.
            last = tables[-1].value.body
            start = _start_of_rest(last)
            rest = [item for _, item in last[start:]]
            del last[start:]
            tables[-1].add(tomlkit.nl())
            for item in rest:
                table.add(item)
        tables.append(table)
        after = tomlkit.dumps(document)
        if "\r\n" in text:
            after = re.sub(r"(?<!\r)\n", "\r\n", after)
        # Tables between two tokens would be moved.
        is_right = tomllib.loads(after) == wanted and (is_inline or _has_lines(after, text))
    except (TOMLKitError, tomllib.TOMLDecodeError):
        is_right = False
    if not is_right:
        raise ConfigError(
            f"found no place for another [[token]], expected you to write it: name ="
            f" {json.dumps(token['name'])}, stores = {json.dumps(token['stores'])}"
        )
    return (_MARK if text.startswith(_MARK) else "") + after


def _has_lines(text: str, wanted: str) -> bool:
    """Tell whether all these lines are in a text, in the same order."""
    lines = iter(text.splitlines())
    return all(line in lines for line in wanted.removeprefix(_MARK).splitlines())


def _start_of_rest(body: Sequence[tuple[object, Item]]) -> int:
    """Return where the first blank line stands below the last key of a table, or the end."""
    last_key = max((number for number, (key, _) in enumerate(body) if key is not None), default=-1)
    blank = (n for n, (_, item) in enumerate(body) if n > last_key and not item.as_string().strip())
    return next(blank, len(body))


def as_variables(api: Table, token: Table) -> dict[str, str]:
    """Return the same settings as variables."""
    variables = {key.name: key.variable for key in (*API_KEYS, *TABLES["token"])}
    return {
        variables[name]: value if isinstance(value, str) else " ".join(value)
        for name, value in (*api.items(), *token.items())
        if variables[name]
    }


def as_exports(variables: Mapping[str, str]) -> str:
    """Return variables as lines for a shell."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())


def _lines(table: str, values: Table) -> str:
    keys = {key.name: key for key in TABLES[table]}
    return "".join(
        f"{_comment(keys[name], '# ')}{name} = {json.dumps(value, ensure_ascii=False)}\n"
        for name, value in values.items()
    )


def _comment(key: Key, begin: str) -> str:
    meaning = key.meaning.replace("`", "")
    return textwrap.fill(meaning, 96, initial_indent=begin, subsequent_indent=begin) + "\n"

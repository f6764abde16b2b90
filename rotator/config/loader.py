"""Loads the settings from a TOML file or from the environment: finds them, and takes them apart."""

import logging
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rotator.config.keys import (
    API_KEYS,
    CONFIG,
    LIMIT_KEYS,
    NAMED_API_KEYS,
    STORE,
    TABLES,
    TOKEN_KEYS,
    VARIABLES,
)
from rotator.config.reader import SettingsReader, Values, find_unknown, with_variables
from rotator.config.settings import (
    ApiSettings,
    Settings,
    TokenSettings,
)
from rotator.config.values import Value, read_name, split_stores
from rotator.errors import (
    ConfigError,
    MistakesError,
    describe_kind,
    nearest,
    one_line,
    quote_value,
)
from rotator.files import read_small_text

DEFAULT_FILE = "rotator.toml"
ONLY_TOKEN = "default"  # noqa: S105 - the name of the token that the environment configures
HOOK_VARIABLES = ("ROTATOR_NAME", "ROTATOR_TOKEN_ID", "ROTATOR_EXPIRES_AT", "ROTATOR_STORES")
_REHEARSAL = "ROTATOR_REHEARSAL"  # what a hook has besides in a rehearsal
_log = logging.getLogger(__name__)
_TOKEN_HEADS = re.compile(r"^[ \t]*\[\[[ \t]*token[ \t]*\]\]", re.MULTILINE)
_WRONG_HEAD = re.compile(r"^[ \t]*\[[ \t]*token[ \t]*\]", re.MULTILINE)
_LIKENESS = 0.8  # from which on a variable is a misspelled one of ours


class Reading(NamedTuple):
    """The settings, what they were made of, and every mistake that was found.

    With a mistake, the settings only serve to look for more: what is wrong in them has a stand-in.
    `apis`, `limits` and `tokens` are the values as they were given, in the order of the file.
    """

    settings: Settings
    apis: tuple[Values, ...]
    tokens: tuple[Values, ...]
    limits: Values
    mistakes: tuple[str, ...]


def load_settings(config: Path | None, variables: Mapping[str, str], cwd: Path) -> Settings:
    """Read the file `config` or `$ROTATOR_CONFIG`, else `$ROTATOR_STORE`, else `rotator.toml`.

    `NOCTURNA_…` variables count with all of them, and win over a file's `[api]`. An empty variable
    counts as not set. Raises `ConfigError`: one line with the place, the key, what was found and
    what was expected.
    """
    reading = read_settings(config, variables, cwd)
    if reading.mistakes:
        raise MistakesError(reading.mistakes)
    return reading.settings


def read_settings(config: Path | None, variables: Mapping[str, str], cwd: Path) -> Reading:
    """Read the same, and return the mistakes instead of raising them.

    Raises `ConfigError` where there is nothing to go on with: no folder, no file, or no tables.
    """
    filled = {name: value for name, value in variables.items() if value}
    file = _choose_file(config, filled, cwd)
    reader = SettingsReader((cwd / file).parent if file else cwd)
    reader.mistakes += _find_misspelled(variables)
    if file is None:
        reading = _read_environment(reader, filled)
    else:
        reading = _read_file(reader, file, cwd, filled)
    # A wrong value of [defaults] is met again in each token.
    return reading._replace(mistakes=tuple(dict.fromkeys(reader.mistakes)))


def _choose_file(config: Path | None, variables: Mapping[str, str], cwd: Path) -> Path | None:
    if config or CONFIG in variables:
        return config or Path(variables[CONFIG])
    if STORE not in variables:
        return Path(DEFAULT_FILE) if _has_default_file(cwd) else None
    if os.access(cwd / DEFAULT_FILE, os.F_OK):
        _log.warning(
            "environment: %s is set, so the %s in the current folder is not used: unset the"
            " variable to use the file",
            *(STORE, DEFAULT_FILE),
        )
    return None


def _has_default_file(cwd: Path) -> bool:
    try:
        return (cwd / DEFAULT_FILE).is_file()
    except OSError as error:
        raise ConfigError(
            f"the current folder {cwd} cannot be searched for {DEFAULT_FILE} ({error.strerror}):"
            " change to another one, or name the config (--config)"
        ) from None


def _read_environment(reader: SettingsReader, variables: Mapping[str, str]) -> Reading:
    cwd = reader.folder
    place = f"environment: {STORE}"
    values = {
        "stores": Value(place, "", "", cwd, split_stores),
        "name": Value(place, ONLY_TOKEN, "", cwd, read_name),
        **reader.take_variables("token", variables),
    }
    token = reader.read_token(values, place, place)
    from_variables = reader.take_variables("api", variables)
    reader.refuse_doubles(from_variables)
    api = reader.read_api(from_variables, None)
    if not token.stores:
        return Reading(
            Settings((api._replace(is_bare=True),), (), cwd), (from_variables,), (), {}, ()
        )
    return Reading(Settings((api,), (token,), cwd), (from_variables,), (values,), {}, ())


def _read_file(
    reader: SettingsReader, path: Path, cwd: Path, variables: Mapping[str, str]
) -> Reading:
    """Read a config; relative files in it start at its own folder."""
    reader.mistakes += (
        f"environment: {key.variable}: found beside the config file {one_line(str(path))}, expected"
        " only one of them to configure tokens"
        for key in TABLES["token"]
        if key.variable in variables
    )
    shown = one_line(str(path))
    try:
        text = _read_text(path, cwd)
        config = _parse_toml(text, shown)
    except ConfigError as error:
        raise MistakesError([*reader.mistakes, str(error)]) from None
    tables = _check_tables(reader, config, shown)
    from_variables = reader.take_variables("api", variables)
    if isinstance(tables["api"], list):
        given_apis, apis = _read_named_apis(reader, path, tables["api"])
        reader.mistakes += (
            f"{value.place}: found beside [[api]] in {shown}, expected only one of them: variables"
            " are for a single [api]"
            for value in from_variables.values()
        )
    else:
        in_file = reader.take_table(API_KEYS, tables["api"], f"{shown}: [api]")
        for given in (in_file, from_variables):
            reader.refuse_doubles(given)
        reader.parse(in_file)  # a mistake counts even where the environment wins
        given_apis = [with_variables(in_file, from_variables)]
        apis = [reader.read_api(given_apis[0], path)]
    limits = reader.take_table(LIMIT_KEYS, tables["limits"], f"{shown}: [limits]")
    defaults = reader.take_table(TOKEN_KEYS, tables["defaults"], f"{shown}: [defaults]")
    reader.parse(defaults)  # …or where every token has its own value
    given_tokens: list[Values] = []
    tokens: dict[str, TokenSettings] = {}
    names = Counter(str(table.get("name")) for table in tables["token"])
    api_names = [api.name for api in apis]
    for number, table in enumerate(tables["token"], 1):
        name = table.get("name")
        place = f"{shown}: [[token]] {quote_value(name) if isinstance(name, str) else number}"
        if names[str(name)] > 1 and name is not None:
            place += f" ({_locate_token(text, number, len(tables['token']))})"
        own = reader.take_table(TABLES["token"], table, place)
        values = {**defaults, **own}
        token = reader.read_token(values, place, f"{place} stores")
        token = reader.refer_to_api(token, values, place, api_names)
        if token.name in tokens:
            twice = values["name"].wrong("another name", found="a second token of this name")
            reader.mistakes.append(str(twice))
            token = token._replace(name=f"{place} {number}")
        tokens[token.name] = token
        given_tokens.append(values)
    settings = Settings(
        tuple(apis),
        tuple(tokens.values()),
        reader.folder,
        **reader.parse(limits),
    )
    return Reading(settings, tuple(given_apis), tuple(given_tokens), limits, ())


def _read_named_apis(
    reader: SettingsReader, file: Path, tables: list[dict[str, Any]]
) -> tuple[list[Values], list[ApiSettings]]:
    """Read each `[[api]]`; one whose name is wrong gets a stand-in."""
    given: list[Values] = []
    apis: dict[str, ApiSettings] = {}
    for number, table in enumerate(tables, 1):
        name = table.get("name")
        shown = quote_value(name) if isinstance(name, str) else str(number)
        place = f"{one_line(str(file))}: [[api]] {shown}"
        values = reader.take_table(NAMED_API_KEYS, table, place)
        reader.refuse_doubles(values)
        api = reader.read_api(values, file)
        if "name" not in values:
            expected = NAMED_API_KEYS[0].expected
            reader.mistakes.append(f"{place} name: found nothing, expected {expected}")
        elif api.name in apis:
            twice = values["name"].wrong("another name", found="a second API of this name")
            reader.mistakes.append(str(twice))
        api = api._replace(name=api.name if api.name not in ("", *apis) else f"{place} {number}")
        apis[api.name] = api
        given.append(values)
    return given, list(apis.values())


def _check_tables(reader: SettingsReader, config: dict[str, Any], shown: str) -> dict[str, Any]:
    """Return the tables by name; raises `MistakesError` where one is no table."""
    reader.mistakes += find_unknown(config, TABLES, f"{shown}:")
    known = len(reader.mistakes)
    config = {"api": {}, "limits": {}, "defaults": {}, "token": [], **config}
    for name in ("api", "limits", "defaults"):
        if name == "api" and _is_list_of_tables(config[name]) and config[name]:
            continue
        if not isinstance(config[name], dict):
            found = f"found {_describe(config[name])}, expected a table: [{name}]"
            reader.mistakes.append(f"{shown}: {name}: {found}")
    tokens = config["token"]
    if not _is_list_of_tables(tokens):
        found = f"found {_describe(tokens)}, expected a list of tables: [[token]]"
        reader.mistakes.append(f"{shown}: token: {found}")
    if len(reader.mistakes) > known:
        raise MistakesError(reader.mistakes)
    return config


def _is_list_of_tables(found: object) -> bool:
    return isinstance(found, list) and all(isinstance(each, dict) for each in found)


def _locate_token(text: str, number: int, count: int) -> str:
    """Tell where the token with this number stands, of so many."""
    heads = list(_TOKEN_HEADS.finditer(text))
    return _locate(text, heads[number - 1]) if len(heads) == count else f"number {number}"


def _locate(text: str, found: re.Match[str]) -> str:
    above = text.count("\n", 0, found.start())
    return f"line {above + 1}"


def _read_text(path: Path, cwd: Path) -> str:
    shown = one_line(str(path))
    try:
        return read_small_text(cwd / path, "utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{shown}: cannot read it: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{shown}: found bytes that are not UTF-8, expected TOML") from None
    except ValueError:
        raise ConfigError(f"{shown}: found TOML that is too large, expected settings") from None


def _parse_toml(text: str, shown: str) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415 - a run without a file starts a few milliseconds earlier

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        if wrong := _WRONG_HEAD.search(text):
            line = _locate(text, wrong)
            raise ConfigError(f"{shown}: {line}: found [token], expected [[token]]") from None
        raise ConfigError(f"{shown}: found broken TOML: {error}") from None
    except (ValueError, RecursionError):  # a number of 5,000 digits, a list 1,000 deep
        raise ConfigError(f"{shown}: found TOML that is too large, expected settings") from None


def _describe(found: object) -> str:
    """Describe what stands in the place of a table: a text there may be a password."""
    return describe_kind(found) if isinstance(found, str) else quote_value(found)


def _find_misspelled(variables: Mapping[str, str]) -> Iterator[str]:
    """Name the variables that look like misspelled ones of ours.

    Others that begin alike are not ours to judge: Kubernetes adds some for every Service.
    """
    for key in TOKEN_KEYS:
        name = f"ROTATOR_{key.name.upper()}"
        if not key.variable and variables.get(name):
            yield (
                f"environment: {name}: found an unknown variable, expected `{key.name}` in a"
                " config file"
            )
    in_hook = all(name in variables for name in HOOK_VARIABLES)  # a hook may well call us
    for name in sorted(variables.keys() - set((*HOOK_VARIABLES, _REHEARSAL) if in_hook else ())):
        prefix, _, rest = name.partition("_")
        if prefix not in ("ROTATOR", "NOCTURNA") or name in VARIABLES:
            continue
        known = [each.partition("_")[2] for each in VARIABLES if each.startswith(prefix)]
        if meant := nearest(rest, known, _LIKENESS):
            yield f"environment: {name}: found an unknown variable, expected {prefix}_{meant}"

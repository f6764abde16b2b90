"""Reads the settings from a TOML file or from the environment.

A mistake does not end the reading: each is added to a list, so that all can be told at once.
"""

import logging
import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from rotator.clock import in_words
from rotator.config.keys import (
    API_KEYS,
    CONFIG,
    LIMIT_KEYS,
    NAMED_API_KEYS,
    REQUIRED_KEYS,
    STORE,
    TABLES,
    TOKEN_KEYS,
    VARIABLES,
    Key,
)
from rotator.config.settings import (
    ApiSettings,
    Secret,
    Settings,
    TokenSettings,
    Unused,
    spread_out,
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
from rotator.http.throttle import API_CONNECTIONS
from rotator.http.urls import is_readable_on_the_way, parse_http_url

DEFAULT_FILE = "rotator.toml"
ONLY_TOKEN = "default"  # noqa: S105 - the name of the token that the environment configures
HOOK_VARIABLES = ("ROTATOR_NAME", "ROTATOR_TOKEN_ID", "ROTATOR_EXPIRES_AT", "ROTATOR_STORES")
_REHEARSAL = "ROTATOR_REHEARSAL"  # what a hook has besides in a rehearsal
_SECRETS = (("admin_email", "admin_email_file"), ("admin_password", "admin_password_file"))
_log = logging.getLogger(__name__)
_TOKEN_HEADS = re.compile(r"^[ \t]*\[\[[ \t]*token[ \t]*\]\]", re.MULTILINE)
_WRONG_HEAD = re.compile(r"^[ \t]*\[[ \t]*token[ \t]*\]", re.MULTILINE)
_LIKENESS = 0.8  # from which on a variable is a misspelled one of ours
RELATED = frozenset(("renew_before", "validity", "rotation_timeout", "retire", "max_age"))

Values = dict[str, Value]


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
    mistakes = list(_find_misspelled(variables))
    variables = {name: value for name, value in variables.items() if value}
    file = _choose_file(config, variables, cwd)
    if file is None:
        reading = _read_environment(variables, cwd, mistakes)
    else:
        reading = _read_file(file, cwd, variables, mistakes)
    # A wrong value of [defaults] is met again in each token.
    return reading._replace(mistakes=tuple(dict.fromkeys(mistakes)))


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


def _read_environment(variables: Mapping[str, str], cwd: Path, mistakes: list[str]) -> Reading:
    place = f"environment: {STORE}"
    values = {
        "stores": Value(place, "", "", cwd, split_stores),
        "name": Value(place, ONLY_TOKEN, "", cwd, read_name),
        **_from_variables("token", variables, cwd),
    }
    token = _read_token(values, place, place, mistakes)
    from_variables = _from_variables("api", variables, cwd)
    _find_doubles(from_variables, mistakes)
    api = _read_api(from_variables, None, mistakes)
    if not token.stores:
        return Reading(
            Settings((api._replace(is_bare=True),), (), cwd), (from_variables,), (), {}, ()
        )
    return Reading(Settings((api,), (token,), cwd), (from_variables,), (values,), {}, ())


def _read_file(path: Path, cwd: Path, variables: Mapping[str, str], mistakes: list[str]) -> Reading:
    """Read a config; relative files in it start at its own folder."""
    mistakes += (
        f"environment: {key.variable}: found beside the config file {one_line(str(path))}, expected"
        " only one of them to configure tokens"
        for key in TABLES["token"]
        if key.variable in variables
    )
    folder, shown = (cwd / path).parent, one_line(str(path))
    try:
        text = _read_text(path, cwd)
        config = _parse_toml(text, shown)
    except ConfigError as error:
        raise MistakesError([*mistakes, str(error)]) from None
    tables = _check_tables(config, shown, mistakes)
    from_variables = _from_variables("api", variables, folder)
    if isinstance(tables["api"], list):
        given_apis, apis = _read_named_apis(path, tables["api"], folder, mistakes)
        mistakes += (
            f"{value.place}: found beside [[api]] in {shown}, expected only one of them: variables"
            " are for a single [api]"
            for value in from_variables.values()
        )
    else:
        in_file = _from_table(API_KEYS, tables["api"], f"{shown}: [api]", folder, mistakes)
        for given in (in_file, from_variables):
            _find_doubles(given, mistakes)
        _parse(in_file, mistakes)  # a mistake counts even where the environment wins
        given_apis = [_with_variables(in_file, from_variables)]
        apis = [_read_api(given_apis[0], path, mistakes)]
    limits = _from_table(LIMIT_KEYS, tables["limits"], f"{shown}: [limits]", folder, mistakes)
    place = f"{shown}: [defaults]"
    defaults = _from_table(TOKEN_KEYS, tables["defaults"], place, folder, mistakes)
    _parse(defaults, mistakes)  # …or where every token has its own value
    given_tokens: list[Values] = []
    tokens: dict[str, TokenSettings] = {}
    names = Counter(str(table.get("name")) for table in tables["token"])
    for number, table in enumerate(tables["token"], 1):
        name = table.get("name")
        place = f"{shown}: [[token]] {quote_value(name) if isinstance(name, str) else number}"
        if names[str(name)] > 1 and name is not None:
            place += f" ({_locate_token(text, number, len(tables['token']))})"
        own = _from_table(TABLES["token"], table, place, folder, mistakes)
        values = {**defaults, **own}
        token = _read_token(values, place, f"{place} stores", mistakes)
        token = _refer_to_api(token, values, place, [api.name for api in apis], mistakes)
        if token.name in tokens:
            twice = values["name"].wrong("another name", found="a second token of this name")
            mistakes.append(str(twice))
            token = token._replace(name=f"{place} {number}")
        tokens[token.name] = token
        given_tokens.append(values)
    settings = Settings(
        tuple(apis),
        tuple(tokens.values()),
        folder,
        **_parse(limits, mistakes),
    )
    return Reading(settings, tuple(given_apis), tuple(given_tokens), limits, ())


def _read_named_apis(
    file: Path, tables: list[dict[str, Any]], folder: Path, mistakes: list[str]
) -> tuple[list[Values], list[ApiSettings]]:
    """Read each `[[api]]`; one whose name is wrong gets a stand-in."""
    given: list[Values] = []
    apis: dict[str, ApiSettings] = {}
    for number, table in enumerate(tables, 1):
        name = table.get("name")
        shown = quote_value(name) if isinstance(name, str) else str(number)
        place = f"{one_line(str(file))}: [[api]] {shown}"
        values = _from_table(NAMED_API_KEYS, table, place, folder, mistakes)
        _find_doubles(values, mistakes)
        api = _read_api(values, file, mistakes)
        if "name" not in values:
            mistakes.append(f"{place} name: found nothing, expected {NAMED_API_KEYS[0].expected}")
        elif api.name in apis:
            twice = values["name"].wrong("another name", found="a second API of this name")
            mistakes.append(str(twice))
        api = api._replace(name=api.name if api.name not in ("", *apis) else f"{place} {number}")
        apis[api.name] = api
        given.append(values)
    return given, list(apis.values())


def _refer_to_api(
    token: TokenSettings, values: Values, place: str, names: list[str], mistakes: list[str]
) -> TokenSettings:
    """Return the token with an API that there is."""
    expected = f"one of: {', '.join(names)}"
    if names == [""]:
        if "api" in values:
            wrong = values["api"].wrong("nothing beside [api]; several APIs have an [[api]] each")
            mistakes.append(str(wrong))
    elif "api" not in values:
        mistakes.append(f"{place} api: found nothing, expected {expected}")
    elif token.api and token.api not in names:  # what is no name is told already
        mistakes.append(str(values["api"].wrong(nearest(token.api, names) or expected)))
    return token if token.api in names else token._replace(api=names[0])


def _check_tables(config: dict[str, Any], shown: str, mistakes: list[str]) -> dict[str, Any]:
    """Return the tables by name; raises `MistakesError` where one is no table."""
    mistakes += _find_unknown(config, TABLES, f"{shown}:")
    known = len(mistakes)
    config = {"api": {}, "limits": {}, "defaults": {}, "token": [], **config}
    for name in ("api", "limits", "defaults"):
        if name == "api" and _is_list_of_tables(config[name]) and config[name]:
            continue
        if not isinstance(config[name], dict):
            found = f"found {_describe(config[name])}, expected a table: [{name}]"
            mistakes.append(f"{shown}: {name}: {found}")
    tokens = config["token"]
    if not _is_list_of_tables(tokens):
        found = f"found {_describe(tokens)}, expected a list of tables: [[token]]"
        mistakes.append(f"{shown}: token: {found}")
    if len(mistakes) > known:
        raise MistakesError(mistakes)
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


def _from_table(
    table: Iterable[Key], raw: Mapping[str, Any], place: str, folder: Path, mistakes: list[str]
) -> Values:
    keys = {key.name: key for key in table}
    mistakes += _find_unknown(raw, keys, place)
    return {
        name: Value(f"{place} {name}", value, keys[name].expected, folder, keys[name].parse)
        for name, value in raw.items()
        if name in keys
    }


def _from_variables(table: str, variables: Mapping[str, str], folder: Path) -> Values:
    return {
        key.name: Value(
            f"environment: {key.variable}",
            variables[key.variable],
            key.expected,
            folder,
            key.parse_variable or key.parse,
        )
        for key in TABLES[table]
        if key.variable in variables
    }


def _with_variables(in_file: Values, variables: Values) -> Values:
    """Let the environment win; its e-mail or password replaces a file's `…_file`, too."""
    replaced = {key for pair in _SECRETS if variables.keys() & pair for key in pair}
    return {key: value for key, value in in_file.items() if key not in replaced} | variables


def _parse(values: Values, mistakes: list[str]) -> dict[str, Any]:
    """Return what can be parsed; the rest is told."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        try:
            found[name] = value.parse(value)
        except ConfigError as error:
            mistakes.append(str(error))
    return found


def _find_doubles(values: Values, mistakes: list[str]) -> None:
    for key, other in _SECRETS:
        if key in values and other in values:
            mistakes.append(
                f"{values[key].place}: found {values[other].place} beside it, expected only one"
            )


def _read_api(values: Values, file: Path | None, mistakes: list[str]) -> ApiSettings:
    found = _parse(values, mistakes)
    url = parse_http_url(found.get("url", ""))
    allows_http = found.get("allow_insecure_http", "allow_insecure_http" in values)
    if url and is_readable_on_the_way(url) and not allows_http:
        insecure = values["url"].wrong(
            "https: http would show the password to the network (allow_insecure_http = true in"
            f" {'[[api]]' if 'name' in values else '[api]'} permits it)"
        )
        mistakes.append(str(insecure))
    # What is wrong counts as given, so that nobody calls it missing as well.
    given = {name: Secret(value.place) for name, value in values.items()}
    secrets = given | found
    email, password = (secrets.get(key) or secrets.get(other) for key, other in _SECRETS)
    return ApiSettings(
        found.get("url", "" if "url" in values else None),
        email,
        password,
        file,
        connections=found.get("connections", API_CONNECTIONS),
        name=found.get("name", ""),
    )


def _read_token(values: Values, place: str, origin: str, mistakes: list[str]) -> TokenSettings:
    """Return one token's settings, checked against each other."""
    found = _parse(values, mistakes)
    mistakes += (
        f"{place} {key.name}: found nothing, expected {key.expected}"
        for key in REQUIRED_KEYS
        if key.name not in values
    )
    token = TokenSettings(origin=origin, **{"name": place, "stores": (), **found})
    if not (values.keys() - found.keys()) & RELATED:
        mistakes += map(str, find_contradictions(token, values))
    return spread_out(token)


def find_contradictions(token: TokenSettings, values: Values) -> Iterator[ConfigError]:
    """Yield what is wrong with `values`, out of which the token was made, beside each other."""
    if token.renew_before < token.rotation_timeout:  # it would expire while it is rotated
        least = in_words(token.rotation_timeout)
        yield values["renew_before"].wrong(f"at least rotation_timeout ({least})")
    if _longest_grace(token.retire) > token.validity:
        yield values["retire"].wrong(f"at most validity ({in_words(token.validity)})")
    renewed_at = token.validity - token.renew_before
    if token.max_age is not None and token.max_age < renewed_at:
        expected = f"at least validity less renew_before ({in_words(renewed_at)})"
        yield values["max_age"].wrong(expected)
    if token.validity <= token.renew_before:  # each new token would be due at once
        if "validity" in values:
            expected = f"more than renew_before ({in_words(token.renew_before)})"
            yield values["validity"].wrong(expected)
        else:
            yield values["renew_before"].wrong(f"less than validity ({in_words(token.validity)})")


def _find_unknown(names: Collection[str], known: Collection[str], place: str) -> Iterator[str]:
    for name in names:
        if name not in known:
            expected = nearest(name, known) or f"one of: {', '.join(known)}"
            yield f"{place} {name}: found an unknown key, expected {expected}"


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


def _longest_grace(retire: timedelta | Unused | None) -> timedelta:
    if isinstance(retire, Unused):
        return retire.at_most or retire.quiet
    return retire or timedelta()

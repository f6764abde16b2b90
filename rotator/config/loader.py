"""Reads the settings from a TOML file or from the environment."""

import logging
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from rotator.clock import in_words
from rotator.config.keys import CONFIG, REQUIRED_KEYS, STORE, TABLES, TOKEN_KEYS, VARIABLES
from rotator.config.settings import ApiSettings, Settings, TokenSettings
from rotator.config.values import Value, read_name, split_stores
from rotator.errors import ConfigError, describe_kind, nearest, one_line, quote_value
from rotator.http.urls import is_readable_on_the_way, parse_http_url

DEFAULT_FILE = "rotator.toml"
ONLY_TOKEN = "default"  # noqa: S105 - the name of the token that the environment configures
HOOK_VARIABLES = ("ROTATOR_NAME", "ROTATOR_TOKEN_ID", "ROTATOR_EXPIRES_AT", "ROTATOR_STORES")
_SECRETS = (("admin_email", "admin_email_file"), ("admin_password", "admin_password_file"))
_log = logging.getLogger(__name__)
_LIKENESS = 0.8  # from which on a variable is a misspelled one of ours

_Values = dict[str, Value]


def load_settings(config: Path | None, variables: Mapping[str, str], cwd: Path) -> Settings:
    """Read the file `config` or `$ROTATOR_CONFIG`, else `$ROTATOR_STORE`, else `rotator.toml`.

    `NOCTURNA_…` variables count with all of them, and win over a file's `[api]`. An empty variable
    counts as not set. Raises `ConfigError`: one line with the place, the key, what was found and
    what was expected.
    """
    _refuse_misspelled(variables)
    variables = {name: value for name, value in variables.items() if value}
    if config or CONFIG in variables:
        return _load_file(config or Path(variables[CONFIG]), cwd, variables)
    if STORE not in variables:
        if _has_default_file(cwd):
            return _load_file(Path(DEFAULT_FILE), cwd, variables)
    elif os.access(cwd / DEFAULT_FILE, os.F_OK):
        _log.warning(
            "environment: %s is set, so the %s in the current folder is not used: unset the"
            " variable to use the file",
            *(STORE, DEFAULT_FILE),
        )
    return _load_environment(variables, cwd)


def _has_default_file(cwd: Path) -> bool:
    try:
        return (cwd / DEFAULT_FILE).is_file()
    except OSError as error:
        raise ConfigError(
            f"the current folder {cwd} cannot be searched for {DEFAULT_FILE} ({error.strerror}):"
            " change to another one, or name the config (--config)"
        ) from None


def _load_environment(variables: Mapping[str, str], cwd: Path) -> Settings:
    place = f"environment: {STORE}"
    values = {
        "stores": Value(place, "", "", cwd, split_stores),
        "name": Value(place, ONLY_TOKEN, "", cwd, read_name),
        **_from_variables("token", variables, cwd),
    }
    token = _read_token(values, place, place)
    api = _read_api(_from_variables("api", variables, cwd), None)
    api = api._replace(is_bare=not token.stores)
    return Settings(api, (token,) if token.stores else (), cwd)


def _load_file(path: Path, cwd: Path, variables: Mapping[str, str]) -> Settings:
    """Read a config; relative files in it start at its own folder."""
    for name in (key.variable for key in TABLES["token"] if key.variable in variables):
        raise ConfigError(
            f"environment: {name}: found beside the config file {one_line(str(path))}, expected"
            " only one of them to configure tokens"
        )
    folder, shown = (cwd / path).parent, one_line(str(path))
    config = _read_tables(path, cwd)
    in_file = _from_table("api", config["api"], f"{shown}: [api]", folder)
    if password := in_file.get("admin_password"):  # refused even where the environment wins
        password.parse(password)
    defaults = _from_table("defaults", config["defaults"], f"{shown}: [defaults]", folder)
    tokens: dict[str, TokenSettings] = {}
    for number, table in enumerate(config["token"], 1):
        name = table.get("name")
        place = f"{shown}: [[token]] {quote_value(name) if isinstance(name, str) else number}"
        values = {**defaults, **_from_table("token", table, place, folder)}
        token = _read_token(values, place, f"{place} stores")
        if token.name in tokens:
            raise values["name"].wrong("another name", found="a second token of this name")
        tokens[token.name] = token
    api = _with_variables(in_file, _from_variables("api", variables, folder))
    return Settings(_read_api(api, path), tuple(tokens.values()), folder)


def _read_tables(path: Path, cwd: Path) -> dict[str, Any]:
    shown = one_line(str(path))
    import tomllib  # noqa: PLC0415 - a run without a file starts a few milliseconds earlier

    try:
        config = tomllib.loads((cwd / path).read_text("utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{shown}: cannot read it: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{shown}: found bytes that are not UTF-8, expected TOML") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{shown}: found broken TOML: {error}") from None
    except (ValueError, RecursionError):  # a number of 5,000 digits, a list 1,000 deep
        raise ConfigError(f"{shown}: found TOML that is too large, expected settings") from None
    _refuse_unknown(config, TABLES, f"{shown}:")
    config = {"api": {}, "defaults": {}, "token": [], **config}
    for name in ("api", "defaults"):
        if not isinstance(config[name], dict):
            found = f"found {_describe(config[name])}, expected a table: [{name}]"
            raise ConfigError(f"{shown}: {name}: {found}")
    tokens = config["token"]
    if not isinstance(tokens, list) or not all(isinstance(each, dict) for each in tokens):
        found = f"found {_describe(tokens)}, expected a list of tables: [[token]]"
        raise ConfigError(f"{shown}: token: {found}")
    return config


def _describe(found: object) -> str:
    """Describe what stands in the place of a table: a text there may be a password."""
    return describe_kind(found) if isinstance(found, str) else quote_value(found)


def _from_table(table: str, raw: Mapping[str, Any], place: str, folder: Path) -> _Values:
    keys = {key.name: key for key in TABLES[table]}
    _refuse_unknown(raw, keys, place)
    return {
        name: Value(f"{place} {name}", value, keys[name].expected, folder, keys[name].parse)
        for name, value in raw.items()
    }


def _from_variables(table: str, variables: Mapping[str, str], folder: Path) -> _Values:
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


def _with_variables(in_file: _Values, variables: _Values) -> _Values:
    """Let the environment win; its e-mail or password replaces a file's `…_file`, too."""
    replaced = {key for pair in _SECRETS if variables.keys() & pair for key in pair}
    return {key: value for key, value in in_file.items() if key not in replaced} | variables


def _read_api(values: _Values, file: Path | None) -> ApiSettings:
    for key, other in _SECRETS:
        if key in values and other in values:
            raise ConfigError(
                f"{values[key].place}: found {values[other].place} beside it, expected only one"
            )
    found = {name: value.parse(value) for name, value in values.items()}
    url = parse_http_url(found.get("url", ""))
    if url and is_readable_on_the_way(url) and not found.get("allow_insecure_http"):
        raise values["url"].wrong(
            "https: http would show the password to the network (allow_insecure_http = true in"
            " [api] permits it)"
        )
    email, password = (found.get(key) or found.get(other) for key, other in _SECRETS)
    return ApiSettings(found.get("url"), email, password, file)


def _read_token(values: _Values, place: str, origin: str) -> TokenSettings:
    """Return one token's settings, checked against each other."""
    found = {name: value.parse(value) for name, value in values.items()}
    for key in REQUIRED_KEYS:
        if key.name not in found:
            raise ConfigError(f"{place} {key.name}: found nothing, expected {key.expected}")
    token = TokenSettings(origin=origin, **found)
    if token.renew_before < token.rotation_timeout:  # it would expire while it is rotated
        least = in_words(token.rotation_timeout)
        raise values["renew_before"].wrong(f"at least rotation_timeout ({least})")
    if token.retire is not None and token.retire > token.validity:
        raise values["retire"].wrong(f"at most validity ({in_words(token.validity)})")
    if token.validity <= token.renew_before:  # each new token would be due at once
        if "validity" in values:
            expected = f"more than renew_before ({in_words(token.renew_before)})"
            raise values["validity"].wrong(expected)
        raise values["renew_before"].wrong(f"less than validity ({in_words(token.validity)})")
    return token


def _refuse_unknown(names: Collection[str], known: Collection[str], place: str) -> None:
    for name in names:
        if name not in known:
            expected = nearest(name, known) or f"one of: {', '.join(known)}"
            raise ConfigError(f"{place} {name}: found an unknown key, expected {expected}")


def _refuse_misspelled(variables: Mapping[str, str]) -> None:
    """Raise `ConfigError` for a variable that looks like a misspelled one of ours.

    Others that begin alike are not ours to judge: Kubernetes adds some for every Service.
    """
    for key in TOKEN_KEYS:
        name = f"ROTATOR_{key.name.upper()}"
        if not key.variable and variables.get(name):
            raise ConfigError(
                f"environment: {name}: found an unknown variable, expected `{key.name}` in a"
                " config file"
            )
    in_hook = all(name in variables for name in HOOK_VARIABLES)  # a hook may well call us
    for name in sorted(variables.keys() - set(HOOK_VARIABLES if in_hook else ())):
        prefix, _, rest = name.partition("_")
        if prefix not in ("ROTATOR", "NOCTURNA") or name in VARIABLES:
            continue
        known = [each.partition("_")[2] for each in VARIABLES if each.startswith(prefix)]
        if meant := nearest(rest, known, _LIKENESS):
            raise ConfigError(
                f"environment: {name}: found an unknown variable, expected {prefix}_{meant}"
            )

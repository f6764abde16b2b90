"""Settings from environment variables alone: one token needs no file."""

import re
from collections.abc import Mapping
from pathlib import Path

from rotator.config.keys import read_api, read_token
from rotator.config.section import Section
from rotator.config.settings import Settings
from rotator.errors import ConfigError, nearest

_LIST = re.compile(r",\s*[a-z][a-z0-9+.-]*:")
_URL_LIST = re.compile(r",\s*[a-z][a-z0-9+.-]*://")
ONLY_TOKEN = "default"  # noqa: S105 - the name of the token that the environment configures
CONFIG = "ROTATOR_CONFIG"
STORE = "ROTATOR_STORE"
NOTIFY = "ROTATOR_NOTIFY"
HOOKS = "ROTATOR_HOOKS"
RESTART = "ROTATOR_RESTART"
_API = {
    "url": "NOCTURNA_API_URL",
    "admin_email": "NOCTURNA_ADMIN_EMAIL",
    "admin_email_file": "NOCTURNA_ADMIN_EMAIL_FILE",
    "admin_password": "NOCTURNA_ADMIN_PASSWORD",
    "admin_password_file": "NOCTURNA_ADMIN_PASSWORD_FILE",
}
_TOKEN = {
    "renew_before": "ROTATOR_RENEW_BEFORE",
    "validity": "ROTATOR_VALIDITY",
    "scope": "ROTATOR_SCOPE",
    "retire": "ROTATOR_RETIRE",
    "rotation_timeout": "ROTATOR_ROTATION_TIMEOUT",
    "hook_timeout": "ROTATOR_HOOK_TIMEOUT",
    "notify": NOTIFY,
}
KNOWN = (CONFIG, STORE, *_API.values(), *_TOKEN.values())
TOLD_TO_HOOKS = ("ROTATOR_NAME", "ROTATOR_TOKEN_ID", "ROTATOR_EXPIRES_AT", "ROTATOR_STORES")


def load_environment(variables: Mapping[str, str], cwd: Path) -> Settings:
    """Return the settings of the one token in `$ROTATOR_STORE`, or of none without it."""
    stores = tuple(variables.get(STORE, "").split())
    if _LIST.search(variables.get(STORE, "")):
        raise ConfigError(
            f"environment: {STORE}: found a comma, expected spaces between store URLs"
        )
    token = read_token(_token(variables), ONLY_TOKEN, f"environment: {STORE}", stores, cwd)
    return Settings(read_api(api(variables), cwd), (token,) if stores else (), cwd)


def api(variables: Mapping[str, str]) -> Section:
    """Return the API's settings that the environment holds."""
    return _section(_API, variables)


def named_file(variables: Mapping[str, str]) -> Path | None:
    """Return the file that `$ROTATOR_CONFIG` names."""
    return Path(variables[CONFIG]) if variables.get(CONFIG) else None


def names_a_store(variables: Mapping[str, str]) -> bool:
    """Tell whether the environment configures its one token."""
    return bool(variables.get(STORE))


def refuse_token_variables(variables: Mapping[str, str], file: str) -> None:
    """Raise `ConfigError` where a variable about the one token would go unheard beside a file."""
    for name in (STORE, *_TOKEN.values()):
        if variables.get(name):
            raise ConfigError(
                f"environment: {name}: found beside the config file {file}, expected only one of"
                " them to configure tokens"
            )


def refuse_misspelled(variables: Mapping[str, str]) -> None:
    """Raise `ConfigError` for a variable that looks like a misspelled one of ours.

    Others that begin alike are not ours to judge: Kubernetes adds some for every Service.
    """
    if variables.get(HOOKS):
        raise ConfigError(
            f"environment: {HOOKS}: found an unknown variable, expected hooks in a config file:"
            " lists of arguments do not fit into a variable"
        )
    if variables.get(RESTART):
        raise ConfigError(
            f"environment: {RESTART}: found an unknown variable, expected `restart` in a config"
            " file"
        )
    # What a hook is told; it may well call us.
    told = TOLD_TO_HOOKS if all(name in variables for name in TOLD_TO_HOOKS) else ()
    for name in sorted(variables.keys() - set(told)):
        prefix, _, rest = name.partition("_")
        if prefix not in ("ROTATOR", "NOCTURNA") or name in KNOWN:
            continue
        meant = nearest(
            rest, [known.partition("_")[2] for known in KNOWN if known.startswith(prefix)], 0.8
        )
        if meant:
            raise ConfigError(
                f"environment: {name}: found an unknown variable, expected {prefix}_{meant}"
            )


def _token(variables: Mapping[str, str]) -> Section:
    section = _section(_TOKEN, variables)
    urls = variables.get(NOTIFY, "")
    if _URL_LIST.search(urls):
        raise ConfigError(f"environment: {NOTIFY}: found a comma, expected spaces between URLs")
    return Section({**section.values, "notify": urls.split()}, section.place)


def _section(names: Mapping[str, str], variables: Mapping[str, str]) -> Section:
    values = {key: variables[name] for key, name in names.items() if variables.get(name)}
    return Section(values, lambda key: f"environment: {names.get(key, key)}")

"""The trial of each answer, at once: each returns what is so, or raises what is wrong."""

from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

from rotator import wiring
from rotator.clock import describe_skew, in_words, utc_now
from rotator.config.keys import API_KEYS, TABLES, TOKEN_KEYS
from rotator.config.reader import RELATED, find_contradictions
from rotator.config.settings import ApiSettings, Secret, TokenSettings
from rotator.config.values import Value, read_secret
from rotator.errors import ApiError, ConfigError, MalformedTokenError
from rotator.http.urls import is_readable_on_the_way, parse_http_url
from rotator.stores.port import Absent
from rotator.stores.registry import Backends
from rotator.tokens import ServiceToken
from rotator.wiring import requirements

_KEYS = {key.name: key for key in (*API_KEYS, *TABLES["token"])}
_LONGEST_VERSION = 40


def read_answer(name: str, text: str, folder: Path = Path()) -> Any:  # noqa: ANN401 - as the key's
    """Return what the loader makes of this text for a key; raises its `ConfigError`."""
    key = _KEYS[name]
    return key.parse(Value(name, text, key.expected, folder, key.parse))


def read_password(text: str) -> str:
    """Return a password that was typed; raises `ConfigError` for what can be none."""
    value = Value("the password", text, "text on one line", Path(), read_secret)
    return read_secret(value).get()


def try_url(url: str) -> str:
    """Reach the API; raises `ConfigError` for what would show the password, and `ApiError`."""
    parts = parse_http_url(url)
    if parts and is_readable_on_the_way(parts):
        raise ConfigError(
            "url: http would show the password to the network, expected https (to permit it, write"
            " allow_insecure_http = true into [api] yourself)"
        )
    # HTTP costs 60 ms to import, and the first question should not wait for it.
    from rotator.nocturna.api import HEALTH, PROVE_ADMIN, ApiClient  # noqa: PLC0415

    http = ApiClient(url, utc_now)
    answer = http.send(HEALTH)
    try:
        http.send(PROVE_ADMIN)  # without a login, which the API asks for under its /api alone
    except ApiError as error:
        if error.status == HTTPStatus.NOT_FOUND:
            raise
    version = answer.get("version") if isinstance(answer, dict) else None
    told = ["the API answers"]
    if isinstance(version, str) and version.isprintable() and len(version) < _LONGEST_VERSION:
        told.append(f"version {version}")
    if warning := describe_skew(http.time.skew):
        told.append(f"but {warning}")
    return ", ".join(told)


def try_login(settings: ApiSettings) -> str:
    """Log in, and out again; raises `ConfigError` where something is missing, and `ApiError`."""
    requirements.require_login(settings)
    api = wiring.lazy_api(settings, utc_now)()
    api.log_in()
    try:
        api.account()
    finally:
        api.log_out()
    return "the API accepts the e-mail and the password, and the account is an admin's"


def as_settings(url: str, email: str, password: str) -> ApiSettings:
    return ApiSettings(url, Secret("e-mail", email), Secret("password", password))


def try_store(text: str, folder: Path, owners: Mapping[str, str]) -> str:
    """Read a store, and prove that it can be written; nothing is changed.

    `owners` are the tokens whose stores are known, by URL. Raises `ConfigError` and `StoreError`.
    """
    store = Backends().open(text, folder)
    if store.url in owners:
        raise ConfigError(f"{store.url} is a store of {owners[store.url]}, expected another one")
    found = store.read()
    store.preflight()
    return (
        f"it can be written, and {_describe(None if isinstance(found, Absent) else found.secret)}"
    )


def _describe(secret: str | None) -> str:
    if secret is None:
        return "holds no token yet: the first rotation mints one"
    try:
        left = ServiceToken.parse(secret).remaining(utc_now())
    except MalformedTokenError as error:
        return f"what it holds is no service token ({error}): the first rotation replaces it"
    if left is None:
        return "holds a token that never expires"
    if left <= timedelta():
        return "holds a token that has expired: the first rotation replaces it"
    return f"holds a token with {in_words(left)} left"


def try_renewal(token: Mapping[str, Any]) -> str:
    """Compare the durations of a token; raises `ConfigError` for what contradicts itself."""
    keys = {key.name: key for key in TOKEN_KEYS if key.name in RELATED & token.keys()}
    values = {
        name: Value(name, token[name], key.expected, Path(), key.parse)
        for name, key in keys.items()
    }
    found = {name: value.parse(value) for name, value in values.items()}
    settings = TokenSettings("", "", (), **found)
    for contradiction in find_contradictions(settings, values):
        raise contradiction
    return f"renewed with less than {in_words(settings.renew_before)} left"

"""What commands require of the settings, and the admin's login that is read out of them.

What is required is looked at before anything is asked of an API or a store.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TypeVar
from urllib.parse import urlsplit

from rotator.config.keys import EXPECTED_STORE_URL
from rotator.config.settings import ApiSettings, Secret, Settings, StoredSecret
from rotator.errors import ConfigError, MistakesError, has_control, quote_value
from rotator.stores.port import Absent, SecretStore
from rotator.stores.registry import Backends, UnknownSchemeError
from rotator.wiring.selection import hint_at_env_file, select

T = TypeVar("T")


def open_password_store(stored: StoredSecret) -> SecretStore:
    """Return the store, new at each call, as one serves one thread only; it is not read.

    Raises `ConfigError` for a URL that no backend can serve.
    """
    try:
        return Backends().open(stored.url, stored.folder)
    except UnknownSchemeError:  # perhaps a password with a colon in it
        raise ConfigError(
            f"{stored.origin}: found a URL that no installed package serves (it is not shown),"
            f" expected {EXPECTED_STORE_URL}"
        ) from None
    except ConfigError as error:
        raise ConfigError(f"{stored.origin}: {error}") from None


def read_password(stored: StoredSecret) -> str:
    """Return the password as it is now; line breaks at its end are cut.

    Raises `ConfigError` where there is none, and what a store raises when it is read.
    """
    store = open_password_store(stored)
    found = store.read()
    password = "" if isinstance(found, Absent) else found.secret.rstrip("\r\n")
    if has_control(password):
        raise ConfigError(
            f"{stored.origin}: the value in {store.url} has line breaks or control characters,"
            " expected the admin's password"
        )
    if not password:
        raise ConfigError(
            f"{stored.origin}: there is nothing in {store.url}, expected the admin's password in it"
        )
    return password


def require_url(settings: ApiSettings) -> str:
    """Return the API's URL; raises `ConfigError` when it is not configured."""
    if settings.url is None:
        what = "the API's URL, which ends in /api"
        raise _missing_key(settings, "url", "NOCTURNA_API_URL", what)
    return settings.url


def require_urls(settings: Settings, names: Sequence[str]) -> None:
    """Raise `ConfigError` unless the URL of each API is configured that has one of these tokens."""
    used = {token.api for token in select(settings, names)}
    for api in settings.apis:
        if api.name in used:
            require_url(api)


def require_email(settings: ApiSettings) -> str:
    """Return the admin's e-mail; raises `ConfigError` when it cannot be read."""
    if settings.admin_email is None:
        variable = "NOCTURNA_ADMIN_EMAIL"
        raise _missing_key(settings, "admin_email", variable, "the e-mail of an admin")
    return settings.admin_email.get()


def require_password(settings: ApiSettings) -> None:
    """Raise `ConfigError` unless the admin's password is there to be read."""
    password = _configured_password(settings)
    if isinstance(password, StoredSecret):  # not read: a run without a login waits for no store
        open_password_store(password)
    else:
        password.get()


def _configured_password(settings: ApiSettings) -> Secret | StoredSecret:
    if settings.admin_password is None:
        variables = "NOCTURNA_ADMIN_PASSWORD_FILE or NOCTURNA_ADMIN_PASSWORD"
        raise _missing_key(settings, "admin_password_file", variables, "the admin's password")
    return settings.admin_password


def read_credentials(settings: ApiSettings) -> tuple[str, str]:
    """Return the admin's e-mail and password as they are now; raises as `read_password` does."""
    email, password = require_email(settings), _configured_password(settings)
    if isinstance(password, StoredSecret):
        return email, read_password(password)
    return email, password.get()


def require_login(settings: ApiSettings) -> None:
    """Raise `ConfigError` unless the API's URL and the admin's credentials are there to be read."""
    require_all(settings, require_url, require_email, require_password)


def require_logins(settings: Settings) -> None:
    """Raise `ConfigError` unless each API can be logged in to, with an account of its own."""
    require_all(
        settings,
        *(lambda _, api=api: require_login(api) for api in settings.apis),
        require_own_accounts,
    )


def require_own_accounts(settings: Settings) -> None:
    """Raise `ConfigError` for an account that has two names.

    Each would take the tokens that are made under the other for nobody's.
    """
    names: dict[tuple[str, str, str], str] = {}
    for api in settings.apis if len(settings.apis) > 1 else ():
        if collect_mistakes(api, require_login):
            continue  # which is told without this
        parts = urlsplit(require_url(api))
        account = (parts.netloc.lower(), parts.path, require_email(api))
        if account in names:
            raise ConfigError(
                f"{api.place}: found the URL and the account of {quote_value(names[account])},"
                " expected one [[api]] for both"
            )
        names[account] = api.name


def require_rotation(settings: Settings) -> None:
    """Raise `ConfigError` unless all is there that a rotation of these tokens needs."""
    require_all(
        settings,
        require_logins,
        require_notices,
        require_restarts,
    )


def require_notices(settings: Settings) -> None:
    """Raise `ConfigError` when notices are wanted that nothing could send, or to no known place."""
    if wanted := [url for token in settings.tokens for url in token.notify]:
        from rotator.hooks.notify import examine_urls  # noqa: PLC0415 - few have notices

        mistakes, _ = examine_urls(wanted, os.environ)
        if mistakes:
            raise MistakesError(mistakes)


def require_restarts(settings: Settings) -> None:
    """Raise `ConfigError` when workloads are to be restarted that nothing could restart."""
    if wanted := [token for token in settings.tokens if token.restart]:
        from rotator.hooks.restarts import Restarts  # noqa: PLC0415 - few have restarts

        require_all(wanted, *(lambda _, token=token: Restarts(token).require() for token in wanted))


def collect_mistakes(subject: T, *requirements: Callable[[T], object]) -> list[str]:
    """Return what the requirements have against the settings, all at once."""
    mistakes: list[str] = []
    for require in requirements:
        try:
            require(subject)
        except MistakesError as error:
            mistakes += error.mistakes
        except ConfigError as error:
            mistakes.append(str(error))
    return list(dict.fromkeys(mistakes))


def require_all(subject: T, *requirements: Callable[[T], object]) -> None:
    """Raise `MistakesError` with what the requirements have against the settings."""
    if mistakes := collect_mistakes(subject, *requirements):
        raise MistakesError(mistakes)


def _missing_key(api: ApiSettings, key: str, variables: str, what: str) -> ConfigError:
    if api.name:
        return ConfigError(f"{api.place} {key}: found nothing, expected {what}")
    hint = hint_at_env_file(variables)
    if api.file is None:
        file = " (or a rotator.toml; there is none here)" if api.is_bare else ""
        return ConfigError(f"environment: {variables}: found nothing, expected {what}{file}{hint}")
    return ConfigError(
        f"{api.place} {key}: found nothing, expected {what} (or the variable {variables}){hint}"
    )

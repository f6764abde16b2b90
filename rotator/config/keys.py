"""The meaning of the keys, the same for a file and for the environment."""

import re
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from rotator.clock import in_words, parse_duration
from rotator.config.afterwards import read_hooks, read_notify, read_restart
from rotator.config.section import Section
from rotator.config.settings import (
    HOOK_TIMEOUT,
    RENEW_BEFORE,
    ROTATION_TIMEOUT,
    VALIDITY,
    ApiSettings,
    Secret,
    StoredSecret,
    TokenSettings,
)
from rotator.errors import ConfigError
from rotator.hosts import is_loopback

API_KEYS = (
    "url",
    "admin_email",
    "admin_email_file",
    "admin_password",
    "admin_password_file",
    "allow_insecure_http",
)
TOKEN_KEYS = (
    "renew_before",
    "validity",
    "scope",
    "retire",
    "probe",
    "rotation_timeout",
    "hooks",
    "hook_timeout",
    "notify",
    "restart",
)
ONE_DAY = timedelta(days=1)
LONGEST_VALIDITY = timedelta(days=365)  # the API's own limit for a token that ends
SHORTEST_TIMEOUT = timedelta(seconds=1)
LONGEST_TIMEOUT = timedelta(hours=1)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def read_api(section: Section, folder: Path, file: Path | None = None) -> ApiSettings:
    """Return the API's settings, from `file` if there is one; relative files start at `folder`.

    `admin_password` is the password, or the `StoredSecret` that a file has made of it.
    """
    for key in ("admin_email", "admin_password"):
        _refuse_both(section, key, f"{key}_file")
    stored = section.raw("admin_password")
    in_store = isinstance(stored, StoredSecret)
    return ApiSettings(
        url=_api_url(section),
        admin_email=_secret(section, "admin_email", folder),
        admin_password=None if in_store else _secret(section, "admin_password", folder),
        file=file,
        admin_password_store=stored if isinstance(stored, StoredSecret) else None,
    )


def read_token(
    section: Section, name: str, origin: str, stores: tuple[str, ...], folder: Path
) -> TokenSettings:
    """Return one token's settings, checked against each other; relative hooks are in `folder`."""
    token = TokenSettings(
        name=name,
        origin=origin,
        stores=stores,
        renew_before=section.duration("renew_before", RENEW_BEFORE),
        validity=section.duration("validity", VALIDITY),
        scope=section.text("scope"),
        probe=section.flag("probe", default=True),
        retire=_retire(section),
        rotation_timeout=_timeout(section, "rotation_timeout", ROTATION_TIMEOUT),
        hooks=read_hooks(section, folder),
        hook_timeout=_timeout(section, "hook_timeout", HOOK_TIMEOUT),
        notify=read_notify(section),
        restart=read_restart(section),
    )
    if token.validity % ONE_DAY or not ONE_DAY <= token.validity <= LONGEST_VALIDITY:
        raise section.wrong("validity", "whole days from 1d to 365d")
    if token.validity <= token.renew_before:  # each new token would be due at once
        if "validity" in section:
            raise section.wrong(
                "validity", f"more than renew_before ({in_words(token.renew_before)})"
            )
        raise section.wrong("renew_before", f"less than validity ({in_words(token.validity)})")
    return token


def read_name(section: Section) -> str:
    """Return the token's name, which messages and hooks use."""
    name = section.text("name")
    if name is None or not _NAME.fullmatch(name):
        expected = "a name of letters, digits and . _ - (64 at most)"
        if name is None:
            raise ConfigError(f"{section.place('name')}: found nothing, expected {expected}")
        raise section.wrong("name", expected)
    return name


def _retire(section: Section) -> timedelta | None:
    expected = '"never", "now" or how long the old token stays valid, such as 1d or 12h'
    text = section.text("retire", expected)
    if text in (None, "never"):
        return None
    try:
        return timedelta() if text == "now" else parse_duration(text)
    except ValueError:
        raise section.wrong("retire", expected) from None


def _timeout(section: Section, key: str, default: timedelta) -> timedelta:
    span = section.duration(key, default)
    if not SHORTEST_TIMEOUT <= span <= LONGEST_TIMEOUT:
        raise section.wrong(key, "a duration from 1s to 1h")
    return span


def _refuse_both(section: Section, key: str, other: str) -> None:
    if key in section and other in section:
        raise ConfigError(
            f"{section.place(key)}: found both this and {section.place(other)}, expected one"
        )


def _secret(section: Section, key: str, folder: Path) -> Secret | None:
    in_file = f"{key}_file"
    if in_file in section:
        path = section.text(in_file, "the path of a file")
        return Secret(section.place(in_file), file=folder / (path or ""))
    if key not in section:
        return None
    # Not section.text: its message would show what it found.
    value = section.raw(key)
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{section.place(key)}: expected a text that is not empty")
    if any("\ud800" <= letter <= "\udfff" for letter in value):  # bytes of the environment
        raise ConfigError(f"{section.place(key)}: found bytes that are not UTF-8, expected text")
    return Secret(section.place(key), value=value)


def _api_url(section: Section) -> str | None:
    text = section.text("url", "the API's URL")
    if text is None:
        return None
    place = section.place("url")
    try:
        url = urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError:
        host, port = None, None
        url = urlsplit("")
    if "@" in text:
        raise ConfigError(
            f"{place}: found a URL with a user or password in it, expected one without;"
            " the admin's e-mail and password have settings of their own"
        )
    if url.scheme not in ("http", "https") or not host or url.query or url.fragment or port == 0:
        raise section.wrong("url", "a URL such as https://your-api-server.com/api")
    insecure = section.flag("allow_insecure_http", default=False)
    if url.scheme == "http" and not insecure and not is_loopback(host):
        raise section.wrong(
            "url",
            "https: http would show the password to the network (allow_insecure_http = true in"
            " [api] permits it)",
        )
    return text.rstrip("/")

"""The meaning of the keys, the same for a file and for the environment."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rotator.clock import in_words, parse_duration
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
from rotator.errors import ConfigError, quote_value
from rotator.urls import is_loopback

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


_HOOKS = (
    "a list in which each hook is a list of arguments, such as"
    ' [["systemctl", "restart", "luna-bot"]]'
)
_URLS = 'a list of apprise URLs such as ["slack://…", "mailto://…"]'
_NOTIFY_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
_WORKLOADS = (
    "a list of workloads, each as [NAMESPACE/]KIND/NAME with the kind deployment, statefulset or"
    ' daemonset, such as ["deployment/luna-bot", "bots/statefulset/sol-bot"]'
)
# https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
_WORKLOAD = re.compile(
    r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?/)?(deployment|statefulset|daemonset)/(?=.{1,253}\Z)"
    r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*"
)


def read_hooks(section: Section, folder: Path) -> tuple[tuple[str, ...], ...]:
    """Return the argument lists; a program with a slash in it starts at `folder`, as files do."""
    place, value = _listed(section, "hooks", _HOOKS)
    return tuple(_hook(hook, place, number, folder) for number, hook in enumerate(value, 1))


def read_notify(section: Section) -> tuple[Secret, ...]:
    """Return the URLs; each knows its place, so that a message need not show it."""
    place, value = _listed(section, "notify", _URLS)
    for number, url in enumerate(value, 1):
        if not isinstance(url, str):
            raise ConfigError(f"{place}: found {_kind(url)} as URL {number}, expected {_URLS}")
        if not _NOTIFY_URL.fullmatch(url) or not url.isprintable():
            raise ConfigError(
                f"{place}: found a text that is no URL as URL {number}, expected {_URLS}"
            )
    return tuple(Secret(f"{place}: URL {number}", value=url) for number, url in enumerate(value, 1))


def read_restart(section: Section) -> tuple[str, ...]:
    """Return the workloads, each as `[NAMESPACE/]KIND/NAME`."""
    place, value = _listed(section, "restart", _WORKLOADS)
    for number, text in enumerate(value, 1):
        if not isinstance(text, str) or not _WORKLOAD.fullmatch(text):
            found = quote_value(text) if isinstance(text, str) else _kind(text)
            raise ConfigError(f"{place}: found {found} as workload {number}, expected {_WORKLOADS}")
    return tuple(value)


def _listed(section: Section, key: str, expected: str) -> tuple[str, list[Any]]:
    value, place = section.raw(key), section.place(key)
    if value is None:
        return place, []
    if not isinstance(value, list):
        raise ConfigError(f"{place}: found {_kind(value)}, expected {expected}")
    return place, value


def _hook(value: object, place: str, number: int, folder: Path) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        found = "an empty list" if value == [] else _kind(value)
        raise ConfigError(f"{place}: found {found} as hook {number}, expected {_HOOKS}")
    for text in value:
        if not isinstance(text, str):
            found, expected = f"{_kind(text)} among the arguments", "texts only"
        elif "\0" in text:
            found, expected = "a NUL character among the arguments", "arguments without one"
        elif not value[0].strip():
            found, expected = "an empty text as the program", "its name or path"
        else:
            continue
        raise ConfigError(f"{place}: found {found} of hook {number}, expected {expected}")
    program, *arguments = value
    return (str(folder / program) if "/" in program else program, *arguments)


def _kind(value: object) -> str:
    kinds = {str: "a text", list: "a list", dict: "a table", bool: "true or false"}
    return kinds.get(type(value), "a number" if isinstance(value, int | float) else "a date")


KEY = "admin_password"
EXPECTED = (
    "the URL of a store that holds the password, such as vault://secret/nocturna#password; the"
    " password itself may stand in a file (admin_password_file) or in the variable"
    " NOCTURNA_ADMIN_PASSWORD"
)
_STORE_URL = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*):[^\s\x00-\x1f\x7f#]+(?:#(?P<field>[^\s\x00-\x1f\x7f]*))?",
    re.IGNORECASE,
)
_WHOLE = ("aws-secretsmanager",)  # without a field their URLs mean all of a secret


def read_stored(section: Section, folder: Path) -> StoredSecret | None:
    """Return where the password is kept, None where no store is named; files start at `folder`.

    Raises `ConfigError` for what is no store URL, and for one that names no field: the field of
    service tokens is no default for a password.
    """
    if KEY not in section:
        return None
    place, value = section.place(KEY), section.raw(KEY)
    url = _STORE_URL.fullmatch(value) if isinstance(value, str) else None
    if not url:
        raise ConfigError(
            f"{place}: found no store URL (what is there is not shown), expected {EXPECTED}"
        )
    if not url["field"] and url["scheme"].lower() not in _WHOLE:
        raise ConfigError(
            f"{place}: found no #FIELD at its end (the rest is not shown), expected {EXPECTED}"
        )
    return StoredSecret(place, url[0], folder)

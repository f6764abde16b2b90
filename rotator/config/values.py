"""A setting as it was given, and the parsers that turn it into what the program uses.

A parser returns the parsed value, or raises the one-line `ConfigError` of `Value.wrong`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from rotator.clock import DURATION, ONE_DAY, in_words, parse_duration
from rotator.config.settings import (
    NOTICES,
    AtMost,
    Label,
    NoticeEvent,
    Secret,
    StoredSecret,
    Unused,
)
from rotator.errors import ConfigError, describe_kind, has_control, has_token, quote_value
from rotator.http.urls import parse_http_url
from rotator.tokens import LONGEST_VALIDITY

MOST_CONNECTIONS = 100
LONGEST_TIMEOUT = timedelta(hours=1)
# The daemon looks once an hour, and a bot exchanges its token every few minutes.
MOST_MIRRORS = 8  # of which a journal tells
SHORTEST_QUIET = timedelta(hours=1)
# These are compiled where they are used: few configs have them, and `check` is to start fast.
_UNUSED = rf"unused ({DURATION})(?:, at most ({DURATION}))?"
_AT_MOST = r"([1-9][0-9]{0,5}) per ([A-Za-z_][A-Za-z0-9_]{0,39})"
_PERCENT = r"(?:[0-9]|10)%"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FIELD_IS_OPTIONAL = (
    "aws-secretsmanager",
    "aws-ssm",
)  # without a field, the secret is the bare password
_COMMA_BEFORE_STORE = re.compile(r",\s*[a-z][a-z0-9+.-]*:")
_COMMA_BEFORE_URL = r",\s*[a-z][a-z0-9+.-]*://"
_NOTIFY_URL = r"[A-Za-z][A-Za-z0-9+.-]*://\S+"
# https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
_WORKLOAD = (
    r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?/)?(deployment|statefulset|daemonset)/(?=.{1,253}\Z)"
    r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*"
)
_LABEL_NAME = "[A-Za-z_][A-Za-z0-9_]{0,39}"
_LONGEST_LABEL = 60
_STORE_URL = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*):[^\s\x00-\x1f\x7f#]+(?:#(?P<field>[^\s\x00-\x1f\x7f]*))?",
    re.IGNORECASE,
)


class Value(NamedTuple):
    """A setting as it was given, and what reads it.

    Messages name its `place`, and say what was `expected`. Relative files start at `folder`.
    """

    place: str
    raw: Any
    expected: str
    folder: Path
    parse: Callable[[Value], Any]

    def wrong(self, expected: str = "", *, found: str = "") -> ConfigError:
        """Return the error; `found` describes a value that a message must not show."""
        return ConfigError(
            f"{self.place}: found {found or quote_value(self.raw)},"
            f" expected {expected or self.expected}"
        )


def read_text(value: Value) -> str:
    """Read a printable text on one line."""
    if not isinstance(value.raw, str) or not value.raw.strip() or not value.raw.isprintable():
        raise value.wrong()
    return value.raw


def read_scope(value: Value) -> str:
    """Read a scope; a token that was put there by mistake is not shown."""
    scope = read_text(value)
    if has_token(scope):
        raise value.wrong("the name of a scope, such as calculations", found="a token")
    return scope


def read_connections(value: Value) -> int:
    """Read how many connections there may be, from 1 to 100."""
    number = value.raw
    if (
        not isinstance(number, int)
        or isinstance(number, bool)
        or not 1 <= number <= MOST_CONNECTIONS
    ):
        raise value.wrong()
    return number


def read_at_most(value: Value) -> AtMost:
    """Read a number above zero, or a number for each value of a label: `10 per team`."""
    if isinstance(value.raw, int) and not isinstance(value.raw, bool) and value.raw > 0:
        return AtMost(value.raw)
    match = re.fullmatch(_AT_MOST, value.raw) if isinstance(value.raw, str) else None
    if not match:
        raise value.wrong()
    return AtMost(int(match[1]), match[2])


def read_share(value: Value) -> float:
    """Read whole percents from `0%` to `10%`, as a share."""
    if not isinstance(value.raw, str) or not re.fullmatch(_PERCENT, value.raw):
        raise value.wrong()
    return int(value.raw.removesuffix("%")) / 100


def read_flag(value: Value) -> bool:
    if not isinstance(value.raw, bool):
        raise value.wrong()
    return value.raw


def read_flag_variable(value: Value) -> bool:
    if value.raw not in ("true", "false"):
        raise value.wrong()
    return bool(value.raw == "true")


def read_duration(value: Value) -> timedelta:
    try:
        return parse_duration(value.raw if isinstance(value.raw, str) else "")
    except ValueError:
        raise value.wrong() from None


def read_timeout(value: Value) -> timedelta:
    """Read a duration of an hour at most; the shortest is a second."""
    timeout = read_duration(value)
    if timeout > LONGEST_TIMEOUT:
        raise value.wrong()
    return timeout


def read_validity(value: Value) -> timedelta:
    validity = read_duration(value)
    if validity % ONE_DAY or validity > LONGEST_VALIDITY:
        raise value.wrong()
    return validity


def read_retire(value: Value) -> timedelta | Unused | None:
    """Read how long the old token stays valid; None until it expires."""
    if value.raw == "never":
        return None
    unused = re.fullmatch(_UNUSED, value.raw) if isinstance(value.raw, str) else None
    if not unused:
        return timedelta() if value.raw == "now" else read_duration(value)
    quiet, most = (parse_duration(text) if text else None for text in unused.groups())
    if quiet is None or quiet < SHORTEST_QUIET:
        raise value.wrong(f"a time without use of at least {in_words(SHORTEST_QUIET)}")
    if most is not None and most <= quiet:
        raise value.wrong(f"more than {in_words(quiet)} after at most")
    return Unused(quiet, most)


def read_name(value: Value) -> str:
    name = value.raw
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise value.wrong()
    return name


def read_api_url(value: Value) -> str:
    """Read the API's URL; slashes at its end are cut."""
    text = read_text(value)
    if "@" in text:
        raise value.wrong(
            "one without; the admin's e-mail and password have settings of their own",
            found="a URL with a user or password in it",
        )
    if not parse_http_url(text):
        raise value.wrong()
    return text.rstrip("/")


def read_secret(value: Value) -> Secret:
    """Take the secret itself, which no message shows."""
    if not isinstance(value.raw, str) or not value.raw:
        raise value.wrong(found=describe_kind(value.raw))
    raw = value.raw.rstrip("\r\n")  # an env file with the line ends of Windows leaves them
    if any("\ud800" <= letter <= "\udfff" for letter in raw):  # bytes in a variable
        raise value.wrong("text", found="bytes that are not UTF-8")
    if not raw or has_control(raw):
        raise value.wrong("text on one line", found="line breaks or control characters")
    return Secret(value.place, value=raw)


def read_secret_file(value: Value) -> Secret:
    """Read the path of a file that holds a secret; the file is read when the secret is needed."""
    name = read_text(value)
    return Secret(value.place, file=value.folder / name, is_named="/" not in name)


def read_secret_store(value: Value) -> StoredSecret:
    """Read the URL of a store that holds a secret. A literal secret is refused, and not shown.

    The URL names its field, since the field of service tokens is no default for a password.
    """
    url = _STORE_URL.fullmatch(value.raw) if isinstance(value.raw, str) else None
    if not url:
        raise value.wrong(found="no store URL (what is there is not shown)")
    if not url["field"] and url["scheme"].lower() not in _FIELD_IS_OPTIONAL:
        raise value.wrong(found="no #FIELD at its end (the rest is not shown)")
    return StoredSecret(value.place, url[0], value.folder)


def read_stores(value: Value) -> tuple[str, ...]:
    """Read a list of store URLs, which are checked when they are opened."""
    urls = value.raw
    if not isinstance(urls, list) or not urls or not all(isinstance(url, str) for url in urls):
        raise value.wrong()
    return tuple(urls)


def split_stores(value: Value) -> tuple[str, ...]:
    if _COMMA_BEFORE_STORE.search(value.raw):
        raise value.wrong("spaces between store URLs", found="a comma")
    return tuple(value.raw.split())


def read_mirrors(value: Value) -> tuple[str, ...]:
    """Read a list of mirror URLs, which are checked when they are opened."""
    urls = tuple(url for _, url in _items(value))
    if not all(isinstance(url, str) for url in urls) or len(urls) > MOST_MIRRORS:
        raise value.wrong()
    return urls


def split_mirrors(value: Value) -> tuple[str, ...]:
    return read_mirrors(value._replace(raw=list(split_stores(value))))


def read_notify(value: Value) -> tuple[Secret, ...]:
    """Read a list of apprise URLs, which hold credentials: each is known by its place."""
    for number, url in _items(value):
        if not isinstance(url, str):
            raise value.wrong(found=f"{describe_kind(url)} as URL {number}")
        if not re.fullmatch(_NOTIFY_URL, url) or not url.isprintable():
            raise value.wrong(found=f"a text that is no URL as URL {number}")
    return tuple(Secret(f"{value.place}: URL {number}", value=url) for number, url in _items(value))


def split_notify(value: Value) -> tuple[Secret, ...]:
    if re.search(_COMMA_BEFORE_URL, value.raw):
        raise value.wrong("spaces between URLs", found="a comma")
    return read_notify(value._replace(raw=value.raw.split()))


def read_events(value: Value) -> tuple[NoticeEvent, ...]:
    """Read a list of what notices are sent for, each once."""
    events = [event for _, event in _items(value)]
    for event in events:
        if event not in NOTICES:
            found = quote_value(event) if isinstance(event, str) else describe_kind(event)
            raise value.wrong(found=found)
    if len(set(events)) < len(events):
        raise value.wrong(found="an event twice")
    return tuple(map(NoticeEvent, events))


def split_events(value: Value) -> tuple[NoticeEvent, ...]:
    return read_events(value._replace(raw=value.raw.split()))


def read_restart(value: Value) -> tuple[str, ...]:
    """Read a list of workloads, each as `[NAMESPACE/]KIND/NAME`."""
    for number, text in _items(value):
        if not isinstance(text, str) or not re.fullmatch(_WORKLOAD, text):
            found = quote_value(text) if isinstance(text, str) else describe_kind(text)
            raise value.wrong(found=f"{found} as workload {number}")
    return tuple(value.raw)


def read_labels(value: Value) -> tuple[Label, ...]:
    """Read a table of names and values."""
    if not isinstance(value.raw, dict):
        raise value.wrong(found=describe_kind(value.raw))
    for name, text in value.raw.items():
        if not re.fullmatch(_LABEL_NAME, name):
            raise value.wrong(found=f"the name {quote_value(name)}")
        if not isinstance(text, str) or not 0 < len(text) <= _LONGEST_LABEL or has_token(text):
            raise value.wrong(found=f"{describe_kind(text)} as {name}")
        if not text.isprintable() or not text.strip():
            raise value.wrong(found=f"a text that is not printable as {name}")
    return tuple(Label(name, text) for name, text in value.raw.items())


def read_hooks(value: Value) -> tuple[tuple[str, ...], ...]:
    """Read a list of commands; a program with a slash in it is a file, and may be relative."""
    return tuple(_hook(value, number, hook) for number, hook in _items(value))


def _hook(value: Value, number: int, hook: object) -> tuple[str, ...]:
    if not isinstance(hook, list) or not hook:
        raise value.wrong(found=f"{describe_kind(hook)} as hook {number}")
    for text in hook:
        where = f"among the arguments of hook {number}"
        if not isinstance(text, str):
            raise value.wrong("texts only", found=f"{describe_kind(text)} {where}")
        if "\0" in text:
            raise value.wrong("arguments without one", found=f"a NUL character {where}")
    program, *arguments = hook
    if not program.strip():
        raise value.wrong(
            "its name or path", found=f"an empty text as the program of hook {number}"
        )
    return (str(value.folder / program) if "/" in program else program, *arguments)


def _items(value: Value) -> Iterator[tuple[int, Any]]:
    if not isinstance(value.raw, list):
        raise value.wrong(found=describe_kind(value.raw))
    yield from enumerate(value.raw, 1)

"""The keys about what happens after a rotation: hooks, restarts and notices.

No message shows what was found in hooks and URLs: arguments may, and URLs do, hold credentials.
"""

import re
from pathlib import Path
from typing import Any

from rotator.config.section import Section, shown
from rotator.config.settings import Secret
from rotator.errors import ConfigError

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
            found = shown(text) if isinstance(text, str) else _kind(text)
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

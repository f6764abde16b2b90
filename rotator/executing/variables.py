"""What the child finds in its environment: our secrets in, our own settings out."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from rotator.config.environment import KNOWN
from rotator.config.section import nearest, shown
from rotator.config.settings import TokenSettings
from rotator.errors import ConfigError
from rotator.stores.port import DEFAULT_FIELD
from rotator.stores.registry import parse_url

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Where the API is, the bot wants to know as well.
_KEPT_BACK = frozenset(KNOWN) - {"NOCTURNA_API_URL"}
_TAKEN = frozenset(KNOWN) | {"PATH"}  # without PATH few programs find what they start


def variables(
    tokens: Sequence[TokenSettings], folder: Path, given: Sequence[str]
) -> dict[str, str]:
    """Return the variable of each token, by its name.

    `given` holds `NAME=VARIABLE`, or for an only token `VARIABLE`; a token that is not in it has
    the field of its first store. Raises `ConfigError`, also for two tokens of one variable.
    """
    chosen = {token.name: _default(token, folder) for token in tokens}
    for text in given:
        name, variable = _named(text, list(chosen))
        chosen[name] = variable
    owners: dict[str, str] = {}
    for name, variable in chosen.items():
        if variable in owners:
            raise ConfigError(
                f"exec: found {owners[variable]} and {name} both in ${variable}, expected a"
                f" variable for each: --env {name}=VARIABLE"
            )
        owners[variable] = name
    return chosen


def environment(inherited: Mapping[str, str], ours: Mapping[str, str | None]) -> dict[str, str]:
    """Return the child's environment: without the rotator's settings, and with `ours`.

    None among these takes an inherited variable away.
    """
    kept = {name: value for name, value in inherited.items() if name not in _KEPT_BACK}
    return {name: value for name, value in {**kept, **ours}.items() if value is not None}


def _default(token: TokenSettings, folder: Path) -> str:
    field = parse_url(token.stores[0], folder).field if token.stores else None
    return field if field and _NAME.fullmatch(field) else DEFAULT_FIELD


def _named(text: str, names: list[str]) -> tuple[str, str]:
    name, equals, variable = text.partition("=")
    if not equals and len(names) == 1:
        name, variable = names[0], text
    if not _NAME.fullmatch(variable):
        expected = "a variable such as API_TOKEN" if len(names) == 1 else "NAME=VARIABLE"
        raise ConfigError(f"exec: --env: found {shown(text)}, expected {expected}")
    if variable in _TAKEN:
        raise ConfigError(
            f"exec: --env: found {variable}, which means something else, expected a variable for"
            " the token alone"
        )
    if name not in names:
        expected = nearest(name, names) or f"one of: {', '.join(names)}"
        raise ConfigError(f"exec: --env: there is no token {shown(name)} here, expected {expected}")
    return name, variable

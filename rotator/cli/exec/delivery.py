"""How the child gets its secrets: as variables, or as files that variables name."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from rotator.cli.exec.state_machine import Secrets
from rotator.config.keys import VARIABLES
from rotator.config.settings import TokenSettings
from rotator.errors import ConfigError, quote_value, suggest
from rotator.stores.port import DEFAULT_FIELD, parse_url

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NOT_INHERITED = frozenset(VARIABLES) - {"NOCTURNA_API_URL"}  # a bot needs the API's URL, too
_TAKEN = frozenset(VARIABLES) | {"PATH"}  # without PATH few programs find what they start


def choose_variables(
    tokens: Sequence[TokenSettings], folder: Path, options: Sequence[str]
) -> dict[str, str]:
    """Return the variable of each token, by the token's name.

    `options` holds `NAME=VARIABLE`, or `VARIABLE` if there is one token; other tokens take the
    field of their first store. Raises `ConfigError`, also for two tokens in one variable.
    """
    chosen = {}
    for token in tokens:
        field = parse_url(token.stores[0], folder).field if token.stores else None
        chosen[token.name] = field if field and _NAME.fullmatch(field) else DEFAULT_FIELD
    for text in options:
        name, variable = _parse_option(text, list(chosen))
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


def _parse_option(text: str, names: list[str]) -> tuple[str, str]:
    name, equals, variable = text.partition("=")
    if not equals and len(names) == 1:
        name, variable = names[0], text
    if not _NAME.fullmatch(variable):
        expected = "a variable such as API_TOKEN" if len(names) == 1 else "NAME=VARIABLE"
        raise ConfigError(f"exec: --env: found {quote_value(text)}, expected {expected}")
    if variable in _TAKEN:
        used = "where programs are found" if variable == "PATH" else "a setting of the rotator"
        raise ConfigError(
            f"exec: --env: found {variable}, which is {used}, expected a variable for the token"
            " alone"
        )
    if name not in names:
        expected = suggest(name, names)
        raise ConfigError(
            f"exec: --env: there is no token {quote_value(name)} here, expected {expected}"
        )
    return name, variable


class Delivery(NamedTuple):
    """Puts each token into its variable; with a `folder`, into a file that `…_FILE` names."""

    inherited: Mapping[str, str]
    variables: Mapping[str, str]
    folder: Path | None

    def environment(self, secrets: Secrets) -> dict[str, str]:
        """Write the files, and return the environment of a child that starts now.

        It has no settings of the rotator.
        """
        self.write_files(secrets)
        environment = {k: v for k, v in self.inherited.items() if k not in _NOT_INHERITED}
        for name, variable in self.variables.items():
            # The other of these two may have been inherited, with an old token.
            environment.pop(variable, None)
            environment.pop(f"{variable}_FILE", None)
            if self.folder:
                environment[f"{variable}_FILE"] = str(self.folder / variable)
            else:
                environment[variable] = secrets[name].secret
        return environment

    def write_files(self, secrets: Secrets) -> None:
        """Write or replace the files (mode 0400, no line break), each in one step for its readers.

        Does nothing without a folder. Raises `OSError`.
        """
        if self.folder is None:
            return
        for name, variable in self.variables.items():
            new = self.folder / f".{variable}.new"
            new.unlink(missing_ok=True)
            fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                file.write(secrets[name].secret)
            new.replace(self.folder / variable)

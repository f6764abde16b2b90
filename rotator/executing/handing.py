"""How the child gets the secrets: in variables, or in files that variables name."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from rotator.exec.delivery import put
from rotator.exec.state_machine import Secrets
from rotator.executing.variables import environment


class Handing(NamedTuple):
    """`variables` has the variable of each token; with a `folder` the secrets are files in it."""

    inherited: Mapping[str, str]
    variables: Mapping[str, str]
    folder: Path | None

    def environment(self, secrets: Secrets) -> dict[str, str]:
        """Return the environment of a child that starts now; its files are written."""
        self.put(secrets)
        ours: dict[str, str | None] = {}
        for name, variable in self.variables.items():
            # Of the two ways only one is left: the other may have been inherited, and be old.
            ours[variable] = None if self.folder else secrets[name].secret
            ours[f"{variable}_FILE"] = str(self.folder / variable) if self.folder else None
        return environment(self.inherited, ours)

    def put(self, secrets: Secrets) -> None:
        """Write the files, or replace them; nothing happens where there are none."""
        for name, variable in self.variables.items():
            if self.folder:
                put(self.folder, variable, secrets[name].secret)

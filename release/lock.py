"""A lock file, as data."""

import re
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCK = "requirements.lock"
BUILD_LOCK = "requirements-build.lock"
_PROJECT = re.compile(r" \(.*\)$")  # "nocturna-rotator (pyproject.toml)"


class Entry(NamedTuple):
    """A package; `needed_by` are the names of those that ask for it."""

    requirement: Requirement
    hashes: list[str]
    needed_by: list[str]

    @property
    def name(self) -> str:
        """The name as an index spells it."""
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> str:
        """The one version."""
        (pin,) = self.requirement.specifier
        if pin.operator != "==":
            raise ValueError(f"{self.requirement} is not pinned")
        return pin.version


def read_lock(path: Path) -> list[Entry]:
    """Return what uv has written."""
    found: list[Entry] = []
    for line in path.read_text().replace("\\\n", " ").splitlines():
        if line[:1] not in ("#", " ", ""):
            requirement, *hashes = line.split("--hash=")
            found.append(Entry(Requirement(requirement), [each.strip() for each in hashes], []))
        elif found and (by := line.strip("# ").removeprefix("via").strip()):
            found[-1].needed_by.append(_PROJECT.sub("", by))
    return found

"""A lock file, as data."""

import re
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCK = "requirements.lock"
BUILD_LOCK = "requirements-build.lock"


class Entry(NamedTuple):
    requirement: Requirement
    hashes: list[str]

    @property
    def name(self) -> str:
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> str:
        (pin,) = self.requirement.specifier
        assert pin.operator == "=="
        return pin.version


def entries(name: str) -> list[Entry]:
    text = re.sub(r"^\s*#.*\n", "", (ROOT / name).read_text(), flags=re.MULTILINE)
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        requirement, *hashes = line.split("--hash=")
        found.append(Entry(Requirement(requirement), [each.strip() for each in hashes]))
    return found


def installed(name: str, python: str) -> dict[str, str]:
    """Return what a Linux with this Python ("3.13") installs, with the versions."""
    here = {"python_version": python, "python_full_version": f"{python}.0"}
    return {
        entry.name: entry.version
        for entry in entries(name)
        if not entry.requirement.marker or entry.requirement.marker.evaluate(here)
    }

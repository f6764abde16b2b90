"""The lock files, as a Linux with some Python installs them."""

from pathlib import Path

from release.lock import BUILD_LOCK, LOCK, Entry, read_lock

__all__ = ["BUILD_LOCK", "LOCK", "ROOT", "entries", "installed"]

ROOT = Path(__file__).parents[2]


def entries(name: str) -> list[Entry]:
    return read_lock(ROOT / name)


def installed(name: str, python: str) -> dict[str, str]:
    """Return what a Linux with this Python ("3.13") installs, with the versions."""
    here = {"python_version": python, "python_full_version": f"{python}.0"}
    return {
        entry.name: entry.version
        for entry in entries(name)
        if not entry.requirement.marker or entry.requirement.marker.evaluate(here)
    }

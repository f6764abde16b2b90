"""Repositories to release from."""

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

_WHO = ("-c", "user.name=Luna", "-c", "user.email=luna@example.com")
_MOMENT = "2026-11-23T09:12:33Z"


def clone(root: Path, folder: Path, names: Iterable[str] = ()) -> Path:
    """Commit these files to a new repository, or all that git does not ignore, as they are now."""
    listed = git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in names or filter(None, listed.split("\0")):
        if (root / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / name, folder / name)
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder)
    return folder


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, *_WHO, "commit", "--quiet", "--message=x", f"--date={_MOMENT}")


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", folder, *arguments],  # noqa: S607 - any git
        check=True,
        capture_output=True,
        text=True,
    ).stdout

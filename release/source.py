"""The source of a release: the files of one commit, and nothing that lies beside them."""

import io
import re
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

NAME = "nocturna-rotator"
ROOT = Path(__file__).parents[1]
VERSION_FILE = "rotator/__init__.py"
_VERSION = re.compile(r'^__version__ = "([^"]+)"$', re.MULTILINE)


class ReleaseError(Exception):
    """What keeps a release from being made, in one line."""


class Source(NamedTuple):
    """A tree with the files of the commit `revision`, which was made `epoch` seconds after 1970."""

    tree: Path
    version: str
    revision: str
    epoch: int


@contextmanager
def exported(repository: Path) -> Iterator[Source]:
    """Yield the files of the commit that is checked out.

    Raises `ReleaseError` where a file differs from it: what is tested must be what is released.
    """
    if _git(repository, "status", "--porcelain").strip():
        raise ReleaseError("files are changed or not in git: commit them, or stash them")
    revision, epoch = _git(repository, "log", "-1", "--format=%H %ct").decode().split()
    with TemporaryDirectory() as folder:
        tree = Path(folder, "tree")
        with tarfile.open(fileobj=io.BytesIO(_git(repository, "archive", "HEAD"))) as archive:
            archive.extractall(tree, filter="data")
        yield Source(tree, read_version(tree), revision, int(epoch))


def read_version(tree: Path) -> str:
    """Return the one version, that of the program."""
    [version] = _VERSION.findall((tree / VERSION_FILE).read_text())
    return str(version)


def _git(repository: Path, *arguments: str) -> bytes:
    done = subprocess.run(
        ["git", "-C", repository, *arguments],  # noqa: S607 - any git
        check=False,
        capture_output=True,
    )
    if done.returncode:
        raise ReleaseError(f"git {arguments[0]} failed: {done.stderr.decode().strip()}")
    return done.stdout

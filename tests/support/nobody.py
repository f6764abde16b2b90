"""Becoming somebody who may do less."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65534


@contextmanager
def as_nobody(path: Path, *, file: int, folder: int) -> Iterator[None]:
    """Give a file and its folder these modes, and be somebody to whom they are a stranger's.

    Root may everything, and has to become somebody else; others forbid it to themselves.
    """
    is_root = os.geteuid() == 0
    usual = path.stat().st_mode, path.parent.stat().st_mode
    if is_root:
        _let_through(path)
        path.chmod(file)
        path.parent.chmod(folder)
        os.setresuid(NOBODY, NOBODY, 0)  # all three, since a shell goes back to the real one
    else:
        path.chmod(file >> 3)
        path.parent.chmod(folder & 0o555)
    try:
        yield
    finally:
        if is_root:
            os.setresuid(0, 0, 0)
        path.chmod(usual[0])
        path.parent.chmod(usual[1])


def _let_through(path: Path) -> None:
    for folder in path.parents:
        if folder.stat().st_uid == os.geteuid() and not folder.stat().st_mode & 1:
            folder.chmod(0o711)

"""Changing a file by the best means that it allows, and proving beforehand that one will work."""

import errno
import os
from pathlib import Path

from backends._envfile.replace import CannotReplaceError, is_pinned, keep_attributes, replace
from backends.dotenv.files import LARGEST, NotAnEnvFileError, Seen, temporary, write_all
from backends.dotenv.rewrite import open_in_place, rewrite

_SPARE = 12 << 10  # the longest secret and journal, and so more than any change can add


def change(path: Path, seen: Seen, content: bytes) -> None:
    """Give the file that was seen a new content: a new file where possible, else in place."""
    if len(content) > LARGEST:
        raise NotAnEnvFileError("it would grow beyond 1 MiB, which is no .env file")
    try:
        replace(path, seen, content)
    except CannotReplaceError:
        rewrite(path, seen, content)


def prove_changeable(path: Path, seen: Seen) -> None:
    """Prove rights and space with a file of zeros beside the target, which is removed again."""
    with temporary(path) as (fd, _):
        in_place = seen.status is not None and not _is_replaceable(fd, path, seen.status)
        if seen.status:
            _prove_openable(path, in_place=in_place)
        copies = 2 if in_place else 1
        write_all(fd, bytes(copies * (len(seen.content) + _SPARE)))
        os.fsync(fd)


def _is_replaceable(fd: int, path: Path, status: os.stat_result) -> bool:
    if is_pinned(path, status):
        return False
    try:
        keep_attributes(fd, path, status)
    except CannotReplaceError:
        return False
    return True


def _prove_openable(path: Path, *, in_place: bool) -> None:
    try:
        os.close(open_in_place(path))
    except OSError as error:
        # A replacement needs no right on the old file; but EPERM is a flag that forbids even that.
        if in_place or error.errno != errno.EACCES:
            raise

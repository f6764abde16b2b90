"""A folder for secrets of this user, which nobody else can have prepared."""

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

_NAME = "nocturna-rotator"
_MODE = 0o700
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class UnusableFolderError(Exception):
    """The folder cannot be made, is somebody else's, or others may look into it."""


def folder_path(environ: Mapping[str, str], temporary: Callable[[], str]) -> Path:
    """Return where the folder belongs: `$XDG_RUNTIME_DIR`, `/run/user/UID`, or below `temporary()`.

    A runtime directory of somebody else is passed over: `sudo` may leave the variable in place.
    """
    user = os.geteuid()
    named = environ.get("XDG_RUNTIME_DIR", "")
    for parent in (Path(named), Path(f"/run/user/{user}")):
        with suppress(OSError):
            # The XDG Base Directory Specification: absolute, and owned by the user.
            if parent.is_absolute() and parent.stat().st_uid == user and os.access(parent, os.W_OK):
                return parent / _NAME
    return Path(temporary()) / f"{_NAME}-{user}"


@contextmanager
def private_folder(path: Path) -> Iterator[int]:
    """Yield a descriptor of the folder, which is made if need be.

    Names are to be opened relative to it: a path could lead elsewhere a moment later. Raises
    `UnusableFolderError`.
    """
    folder = _opened(path)
    try:
        yield folder
    finally:
        os.close(folder)


def _opened(path: Path) -> int:
    try:
        with suppress(FileExistsError):
            path.mkdir(mode=_MODE)
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise UnusableFolderError(f"{path}: {error.strerror}") from None
    found = os.fstat(folder)
    # Only what it gives to others: a set-group-ID bit comes from the folder above (mkdir(2)).
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & _OTHERS:
        os.close(folder)
        raise UnusableFolderError(f"{path} is not a folder of this user alone; remove it")
    return folder

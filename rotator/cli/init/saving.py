"""Writes files whole or not at all, whenever the process ends."""

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rotator.errors import ConfigError

PRIVATE, PUBLIC = 0o600, 0o666


def require_folder(path: Path) -> None:
    """Raise `ConfigError` unless a file can be written into the folder of this one."""
    if not path.parent.is_dir():
        raise ConfigError(f"there is no folder {path.parent}: create it")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise ConfigError(f"{path} cannot be written: you may not write into {path.parent}")


def refuse_existing(path: Path) -> None:
    """Raise `ConfigError` where something is there already, or nothing can be."""
    require_folder(path)
    if os.path.lexists(path):
        raise ConfigError(f"{path} is there already: remove it, or choose another place")


def make_folder(path: Path) -> None:
    """Make a folder that is not there yet; raises `ConfigError`."""
    with _told(path):
        path.mkdir()


def write_new(path: Path, text: str, mode: int) -> None:
    """Write a file that is not there yet; the umask takes rights from `mode`.

    Raises `ConfigError`, and then nothing is there, or what somebody else put there meanwhile.
    """
    with _told(path), _beside(path, text) as temporary:
        umask = os.umask(0o077)
        os.umask(umask)
        temporary.chmod(mode & ~umask)
        try:
            path.hardlink_to(temporary)  # as no rename does, it fails where something is
        except FileExistsError:
            raise ConfigError(f"{path} is there already: remove it, or choose another") from None
        except OSError:  # a file system without links
            refuse_existing(path)
            temporary.replace(path)


def rewrite(path: Path, text: str, expected: str) -> None:
    """Replace a file that still has the `expected` text; its mode and owner are kept.

    Raises `ConfigError`, and then it is as it was, or as somebody else made it meanwhile.
    """
    path = Path(os.path.realpath(path))
    with _told(path), _beside(path, text) as temporary:
        before = path.stat()
        if path.read_bytes() != expected.encode():
            raise ConfigError(f"{path} was changed meanwhile: start again")
        if before.st_uid != os.geteuid() or before.st_gid != os.getegid():
            os.chown(temporary, before.st_uid, before.st_gid)
        temporary.chmod(stat.S_IMODE(before.st_mode))
        temporary.replace(path)


@contextmanager
def _beside(path: Path, text: str) -> Iterator[Path]:
    """Yield a file of mode 0600 in the same folder with this text; it is gone at the end."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        yield Path(name)
    finally:
        with suppress(FileNotFoundError):
            Path(name).unlink()


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None

"""Secrets as files in memory: a private folder that goes away with the process.

A lock on the folder says that its owner lives. Unlike the number of a process it holds between
containers that share the file system, and the kernel lets go of it when the owner is killed.
"""

import fcntl
import logging
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from rotator.errors import RotatorError

_PREFIX = "rotator-exec-"
_IN_MEMORY = ("tmpfs", "ramfs")
_log = logging.getLogger(__name__)


class NoFolderError(RotatorError):
    """There is no place for files, not even for temporary ones."""


def parent_folder(environ: Mapping[str, str]) -> Path:
    """Return a folder in memory that we may write to; else, with a warning, one on a disk.

    Tried are `$XDG_RUNTIME_DIR`, `/run/user/UID` and `/dev/shm`.
    """
    named = environ.get("XDG_RUNTIME_DIR")
    # That of somebody else, which `sudo` may leave there, is theirs to put something else in.
    candidates = [Path(named)] if named and _is_ours(Path(named)) else []
    candidates += [Path(f"/run/user/{os.geteuid()}"), Path("/dev/shm")]  # noqa: S108 - its folder is private
    for folder in candidates:
        if is_in_memory(folder) and os.access(folder, os.W_OK | os.X_OK):
            return folder
    folder = Path(tempfile.gettempdir())
    _log.warning("no folder in memory (/dev/shm) can be written: the secret is kept in %s", folder)
    return folder


def _is_ours(folder: Path) -> bool:
    try:
        return folder.stat().st_uid == os.geteuid()
    except OSError:
        return False


def is_in_memory(folder: Path) -> bool:
    """Tell whether a folder is on a file system without a disk, as `/proc/self/mountinfo` has it.

    See proc_pid_mountinfo(5): the third field is the device, the first after `-` the type.
    """
    try:
        device = folder.stat().st_dev
        mounts = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape")
    except OSError:
        return False
    wanted = f"{os.major(device)}:{os.minor(device)}"
    types = [
        line.partition(" - ")[2].split()[0]
        for line in mounts.splitlines()
        if line.split()[2] == wanted
    ]
    return bool(types) and all(kind in _IN_MEMORY for kind in types)


@contextmanager
def secret_folder(environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield a new folder (mode 0700) that is removed at the end, after those of dead processes.

    Raises `NoFolderError`.
    """
    try:
        parent = parent_folder(environ)
        _sweep(parent)
        folder, lock = _made(parent)
    except OSError as error:
        raise NoFolderError(
            f"exec: no folder can be made for the secret's file ({error.strerror}):"
            " mount a tmpfs at /dev/shm, or set TMPDIR"
        ) from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def put(folder: Path, name: str, secret: str) -> None:
    """Write a file (mode 0400) without a line break, in one step for those who read it."""
    new = folder / f".{name}.new"
    new.unlink(missing_ok=True)
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(secret)
    new.replace(folder / name)


def _made(parent: Path) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        # Somebody who sweeps may come in before the lock, and take the new folder for a dead one.
        lock = _locked(folder)
        if lock is not None and folder.exists():
            return folder, lock
        if lock is not None:
            os.close(lock)


def _sweep(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            status = folder.lstat()
            ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
            lock = _locked(folder) if ours else None
            if lock is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)


def _locked(folder: Path) -> int | None:
    """Lock a folder, to be let go of by closing what is returned; None where another has it."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd

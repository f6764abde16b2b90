"""Private folders for secrets, in the user's runtime directory where there is one."""

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

_CACHE = "nocturna-rotator"
_PREFIX = "rotator-exec-"
_PRIVATE = 0o700
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_IN_MEMORY = ("tmpfs", "ramfs")
_log = logging.getLogger(__name__)


class NoFolderError(RotatorError):
    """No folder can be made, not even among the temporary files."""


def runtime_directories(environ: Mapping[str, str]) -> list[Path]:
    """Return `$XDG_RUNTIME_DIR` and `/run/user/UID`, if they are this user's and writable.

    By the XDG Base Directory Specification the path is absolute, and the user owns the directory;
    `sudo` may leave another user's in the variable.
    """
    user = os.geteuid()
    usable = []
    for path in (Path(environ.get("XDG_RUNTIME_DIR", "")), Path(f"/run/user/{user}")):
        with suppress(OSError):
            is_ours = path.is_absolute() and path.stat().st_uid == user
            if is_ours and os.access(path, os.W_OK | os.X_OK):
                usable.append(path)
    return usable


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Return where the user's cache belongs: in a runtime directory, or among temporary files."""
    for parent in runtime_directories(environ):
        return parent / _CACHE
    return Path(tempfile.gettempdir()) / f"{_CACHE}-{os.geteuid()}"


@contextmanager
def open_private_folder(path: Path) -> Iterator[int]:
    """Yield a descriptor of the folder, which is made if need be.

    Open names relative to it, because the path could lead elsewhere a moment later. Raises
    `OSError` if it cannot be made, belongs to another user, or can be read by others.
    """
    try:
        with suppress(FileExistsError):
            path.mkdir(mode=_PRIVATE)
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise OSError(f"{path}: {error.strerror}") from None
    try:
        status = os.fstat(folder)
        # Only rights of others matter: a set-group-ID bit is inherited from the parent (mkdir(2)).
        if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & _OTHERS:
            raise OSError(f"{path} is not a folder of this user alone; remove it")
        yield folder
    finally:
        os.close(folder)


@contextmanager
def secret_folder(environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield a new folder (mode 0700), in memory if possible, which is removed at the end.

    Folders that killed processes left behind are removed first: each owner holds a lock on its
    folder. Unlike a process id it works between containers that share the file system, and the
    kernel releases it when the owner dies. Raises `NoFolderError`.
    """
    try:
        parent = parent_folder(environ)
        _sweep(parent)
        folder, lock = _make_folder(parent)
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


def parent_folder(environ: Mapping[str, str]) -> Path:
    """Return a writable directory in memory: a runtime directory or `/dev/shm`.

    Without one it returns the directory for temporary files, and logs a warning.
    """
    for folder in (*runtime_directories(environ), Path("/dev/shm")):  # noqa: S108 - its folder is private
        if is_in_memory(folder) and os.access(folder, os.W_OK | os.X_OK):
            return folder
    folder = Path(tempfile.gettempdir())
    _log.warning("no folder in memory (/dev/shm) can be written: the secret is kept in %s", folder)
    return folder


def is_in_memory(folder: Path) -> bool:
    """Tell whether a folder is on a file system without a disk.

    In `/proc/self/mountinfo` (proc_pid_mountinfo(5)) the third field is the device, the first one
    after `-` the file system's type.
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


def _make_folder(parent: Path) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        lock = _lock(folder)
        if lock is not None:
            if folder.exists():
                return folder, lock
            os.close(lock)
        # Another process swept the folder before it was locked: make another one.


def _sweep(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            status = folder.lstat()
            is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
            lock = _lock(folder) if is_ours else None
            if lock is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)


def _lock(folder: Path) -> int | None:
    """Lock a folder until the returned descriptor is closed; None if another process holds it."""
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

"""Secrets as files in memory: a private folder that goes away with the process.

A lock on the folder says that its owner lives. Unlike the number of a process it holds between
containers that share the file system, and the kernel lets go of it when the owner is killed.
"""

import fcntl
import logging
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from rotator.config.keys import VARIABLES
from rotator.config.settings import TokenSettings
from rotator.errors import ConfigError, RotatorError, nearest, quote_value
from rotator.exec.state_machine import Secrets
from rotator.stores.port import DEFAULT_FIELD, parse_url

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


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Where the API is, the bot wants to know as well.
_KEPT_BACK = frozenset(VARIABLES) - {"NOCTURNA_API_URL"}
_TAKEN = frozenset(VARIABLES) | {"PATH"}  # without PATH few programs find what they start


def variables(
    tokens: Sequence[TokenSettings], folder: Path, given: Sequence[str]
) -> dict[str, str]:
    """Return the variable of each token, by its name.

    `given` holds `NAME=VARIABLE`, or for an only token `VARIABLE`; a token that is not in it has
    the field of its first store. Raises `ConfigError`, also for two tokens of one variable.
    """
    chosen = {token.name: _default(token, folder) for token in tokens}
    for text in given:
        name, variable = _named(text, list(chosen))
        chosen[name] = variable
    owners: dict[str, str] = {}
    for name, variable in chosen.items():
        if variable in owners:
            raise ConfigError(
                f"exec: found {owners[variable]} and {name} both in ${variable}, expected a"
                f" variable for each: --env {name}=VARIABLE"
            )
        owners[variable] = name
    return chosen


def environment(inherited: Mapping[str, str], ours: Mapping[str, str | None]) -> dict[str, str]:
    """Return the child's environment: without the rotator's settings, and with `ours`.

    None among these takes an inherited variable away.
    """
    kept = {name: value for name, value in inherited.items() if name not in _KEPT_BACK}
    return {name: value for name, value in {**kept, **ours}.items() if value is not None}


def _default(token: TokenSettings, folder: Path) -> str:
    field = parse_url(token.stores[0], folder).field if token.stores else None
    return field if field and _NAME.fullmatch(field) else DEFAULT_FIELD


def _named(text: str, names: list[str]) -> tuple[str, str]:
    name, equals, variable = text.partition("=")
    if not equals and len(names) == 1:
        name, variable = names[0], text
    if not _NAME.fullmatch(variable):
        expected = "a variable such as API_TOKEN" if len(names) == 1 else "NAME=VARIABLE"
        raise ConfigError(f"exec: --env: found {quote_value(text)}, expected {expected}")
    if variable in _TAKEN:
        raise ConfigError(
            f"exec: --env: found {variable}, which means something else, expected a variable for"
            " the token alone"
        )
    if name not in names:
        expected = nearest(name, names) or f"one of: {', '.join(names)}"
        raise ConfigError(
            f"exec: --env: there is no token {quote_value(name)} here, expected {expected}"
        )
    return name, variable


class Handing(NamedTuple):
    """`variables` has the variable of each token; with a `folder` the secrets are files in it."""

    inherited: Mapping[str, str]
    variables: Mapping[str, str]
    folder: Path | None

    def environment(self, secrets: Secrets) -> dict[str, str]:
        """Return the environment of a child that starts now; its files are written."""
        self.put(secrets)
        ours: dict[str, str | None] = {}
        for name, variable in self.variables.items():
            # Of the two ways only one is left: the other may have been inherited, and be old.
            ours[variable] = None if self.folder else secrets[name].secret
            ours[f"{variable}_FILE"] = str(self.folder / variable) if self.folder else None
        return environment(self.inherited, ours)

    def put(self, secrets: Secrets) -> None:
        """Write the files, or replace them; nothing happens where there are none."""
        for name, variable in self.variables.items():
            if self.folder:
                put(self.folder, variable, secrets[name].secret)

"""From what the system says to what a user can do about it: one line, and never a value."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backends.dotenv.files import SIDECAR, NotAnEnvFileError
from backends.dotenv.lock import LockTimeoutError
from backends.dotenv.rewrite import ChangedError
from backends.dotenv.text import UnsafeEditError
from rotator.errors import ConflictError, StoreDeniedError, StoreError, StoreUnreachableError

_FULL = (StoreError, "disk full: free some space, or raise the quota, for {folder}")
_KNOWN: dict[int | None, tuple[type[StoreError], str]] = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: _FULL,
    errno.EROFS: (StoreDeniedError, "read-only file system: mount {folder} writable"),
    errno.ENOENT: (StoreUnreachableError, "there is no folder {folder}: create or mount it"),
    errno.ENOTDIR: (StoreUnreachableError, "a part of {folder} is no folder: correct the path"),
    errno.ELOOP: (StoreUnreachableError, "{file} is a loop of symlinks: remove the loop"),
}


@contextmanager
def translate_failures(url: str, path: Path, *, writing: bool) -> Iterator[None]:
    """Turn every failure inside into a `StoreError` that names the store and the remedy."""
    try:
        yield
    except OSError as error:
        raise _from_system(error, url, path, writing=writing) from error
    except (NotAnEnvFileError, UnsafeEditError) as error:
        raise StoreError(f"{url}: {error}") from None
    except LockTimeoutError:
        raise StoreUnreachableError(
            f"{url}: another rotator has been holding {_shown(path)}{SIDECAR}lock for too long,"
            " perhaps with a hook: try again when it is done; if none is running, another user left"
            " it behind: remove it"
        ) from None
    except ChangedError:
        if writing:
            text = "the file keeps changing, or another program has locked it: try again later"
            raise ConflictError(f"{url}: {text}") from None
        text = "the file keeps changing while it is read: try again when it is at rest"
        raise StoreUnreachableError(f"{url}: {text}") from None


def _from_system(error: OSError, url: str, path: Path, *, writing: bool) -> StoreError:
    if error.errno in (errno.EACCES, errno.EPERM):
        right = _missing_right(error, path, writing=writing)
        return StoreDeniedError(f"{url}: user {os.geteuid()} {right}")
    reason = error.strerror or type(error).__name__
    unknown = (StoreUnreachableError, f"{reason}: check the file system of {{folder}}")
    kind, sentence = _KNOWN.get(error.errno, unknown)
    return kind(f"{url}: {sentence.format(file=_shown(path), folder=_shown(path.parent))}")


def _missing_right(error: OSError, path: Path, *, writing: bool) -> str:
    if writing and SIDECAR in str(error.filename):
        return (
            f"may not create files in {_shown(path.parent)}, which replacing the file needs:"
            " grant write and search rights (wx) on that folder"
        )
    verb, rights = ("change", "read and write rights (rw)") if writing else ("read", "read rights")
    return (
        f"may not {verb} {_shown(path)}: grant {rights} on it and search rights (x) on its"
        f" folders{', and remove an immutable flag' if writing else ''}"
    )


def _shown(path: Path) -> str:
    return str(path) if str(path).isprintable() else repr(str(path))

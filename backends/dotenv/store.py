"""The `.env` store: one variable of one file, changed as carefully as the best editor would.

    dotenv:.env#NAME    dotenv:sub/.env    dotenv:///srv/bot/.env#NAME

Only the value and its journal (a comment line above it) ever change. Readers see the old file or
the new one; mode, owner, access lists, symlinks, newlines and all other bytes stay what they were.
The rotators of one machine keep each other out by a lock, which the kernel releases when its holder
dies.
"""

import errno
import hashlib
import logging
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from backends.dotenv import rewrite
from backends.dotenv.gate import UnsafeEditError
from backends.dotenv.links import ForeignLinkError, canonical, resolve
from backends.dotenv.text import EnvText, Variable, read_plain
from backends.locks import FileLock, ForeignLockError, LockTimeoutError
from rotator.errors import (
    ConfigError,
    ConflictError,
    StoreDeniedError,
    StoreError,
    StoreUnreachableError,
    quote_value,
)
from rotator.stores.journal import Journal
from rotator.stores.port import (
    DEFAULT_FIELD,
    SCRATCH,
    Absent,
    Entry,
    Provenance,
    StoreUrl,
    is_open_to_all,
)

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# No quoting, in no style, changes any of these for sh or for python-dotenv; `~` in front would.
_SAFE = re.compile(r"(?!~)[A-Za-z0-9_.~+/=-]{1,8192}")
_SAMPLE = Variable("x", "v=1 token=x")
_ATTEMPTS = 5
_FULL = (StoreError, "disk full: free some space, or raise the quota, for {folder}")
_TOO_MANY_FILES = "too many open files: raise the limit of {} ({})"
_KNOWN: dict[int | None, tuple[type[StoreError], str]] = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: (
        StoreError,
        "disk full for this process: raise its limit on the size of files (ulimit -f)",
    ),
    errno.ENOLCK: (
        StoreUnreachableError,
        "No locks available: two rotators need file locks: move {folder} to where these exist",
    ),
    errno.EROFS: (StoreDeniedError, "read-only file system: mount {folder} writable"),
    errno.ENOENT: (StoreUnreachableError, "there is no folder {folder}: create or mount it"),
    errno.ENOTDIR: (StoreUnreachableError, "a part of {folder} is no folder: correct the path"),
    errno.ELOOP: (StoreUnreachableError, "{file} is a loop of symlinks: remove the loop"),
    errno.ENAMETOOLONG: (
        StoreUnreachableError,
        "{file} is too long for the names of its lock and copies: give it a shorter one",
    ),
    errno.EMFILE: (StoreUnreachableError, _TOO_MANY_FILES.format("this process", "ulimit -n")),
    errno.ENFILE: (StoreUnreachableError, _TOO_MANY_FILES.format("this machine", "fs.file-max")),
}
_log = logging.getLogger(__name__)


def open_store(url: StoreUrl) -> "DotenvStore":
    """Return the store behind a `dotenv:` URL, without opening the file; raises `ConfigError`."""
    if url.query:
        raise ConfigError(
            f"a dotenv: store takes no options, found {', '.join(sorted(url.query))!r}:"
            " remove the part between `?` and `#`"
        )
    variable = DEFAULT_FIELD if url.field is None else url.field
    if not _VARIABLE.fullmatch(variable):
        raise ConfigError(
            "after the `#` of a dotenv: store stands the name of a variable (letters, digits"
            f" and _, not starting with a digit), found {quote_value(variable)}"
        )
    return DotenvStore(_read_path(url), variable)


class DotenvStore:
    """A secret in a `.env` file; see `rotator.stores.port.SecretStore` for the promises.

    `path` is absolute, and its symlinks are followed anew by each call; `url` says where they led
    at first. `lock_timeout` is in seconds.
    """

    _warns = True  # of a file that all may read

    def __init__(self, path: Path, variable: str, *, lock_timeout: float = 120.0) -> None:
        self._path = path
        self._variable = variable
        target = os.fsencode(canonical(path))
        self.url = f"dotenv://{quote(target, safe='/+,=:@~')}#{variable}"
        self._lock_timeout = lock_timeout
        self._locked: Path | None = None
        self._written: EnvText | None = None  # while it is locked: to parse takes long
        self._has_warned = not self._warns

    def __repr__(self) -> str:
        return f"DotenvStore({self.url!r})"

    def read(self) -> Entry | Absent:
        with self._file(writing=False) as path:
            state = rewrite.read_settled(path)
            variable, has_scratch = read_plain(state.content, self._variable), False
            if variable is None:  # not plain: read it as python-dotenv does, or refuse it
                text = EnvText(state.content, self._variable)
                variable = text.variable
                has_scratch = text.has_traces_of(f"{self._variable}{SCRATCH}")
            has_leftovers = not self._locked and _has_leftovers(path)
        if _is_for_all(state) and not self._has_warned and is_open_to_all(path):
            self._has_warned = True
            _log.warning("%s is readable by every user of this machine: chmod o-r it", self.url)
        version, journal = _version(variable), Journal.from_text(variable.journal)
        if variable.value is None:
            return Absent(version, journal, has_scratch, has_leftovers)
        # Text that is no UTF-8 is no token; it must not break the message that says so.
        secret = variable.value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        return Entry(secret, version, journal, has_scratch=has_scratch, has_leftovers=has_leftovers)

    def scratch(self) -> "ScratchVariable":
        """Return the scratch place: another variable of the same file."""
        variable = f"{self._variable}{SCRATCH}"
        return ScratchVariable(self._path, variable, lock_timeout=self._lock_timeout)

    def provenance(self) -> Provenance:
        """Tell when the file was last changed; a file does not tell by whom."""
        with self._file(writing=False) as path:
            seconds = path.stat().st_mtime
        return Provenance(changed_at=datetime.fromtimestamp(seconds, UTC))

    def preflight(self) -> None:
        """Prove that `write` and `note` would succeed: rights, space, a line that can be changed.

        A file of zeros is created beside the target and removed again; nothing else happens.
        """
        with self._file(writing=True) as path:
            state = rewrite.read_settled(path)
            text = EnvText(state.content, self._variable)
            # The text parses itself again, and refuses what would change more than this variable.
            for wanted in (_SAMPLE, Variable(text.variable.value, _SAMPLE.journal)):
                text.with_variable(wanted)
            rewrite.prove_changeable(path, state)

    def write(self, secret: str, journal: Journal, *, expected: str) -> None:
        """Replace value and journal line, of the file as it is now, in one step."""
        if not _SAFE.fullmatch(secret):
            raise StoreError(
                f"{self.url}: this secret is not written: a .env file takes up to 8192 characters"
                " out of letters, digits and _.~+/=- (no ~ in front); tokens are made of these"
            )
        self._change(lambda text: text.with_variable(Variable(secret, journal.to_text())), expected)

    def note(self, journal: Journal, *, expected: str) -> str:
        """Replace the journal line alone; above an empty `NAME=` where there is no variable."""
        return self._change(
            lambda text: text.with_variable(Variable(text.variable.value, journal.to_text())),
            expected,
        )

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep the other rotators of this machine out, and repair what a killed one left."""
        if self._locked:
            yield
            return
        with ExitStack() as held:
            # `_file` explains what fails here; what fails in the block of `hold` explains itself.
            with self._file(writing=True) as path:
                held.enter_context(_lock_of(path).hold(self._lock_timeout))
                rewrite.repair(path)
            self._locked = path
            try:
                yield
            finally:
                self._locked = self._written = None

    def held_elsewhere(self) -> bool:
        """Tell whether another process of this machine is inside `hold`, by its lock file."""
        with self._file(writing=False) as path:
            return _lock_of(path).held_elsewhere()

    @contextmanager
    def _file(self, *, writing: bool) -> Iterator[Path]:
        """Yield the file, where the symlinks lead now.

        Every failure becomes a `StoreError` that names the store and the remedy.
        """
        path = self._path
        try:
            path = resolve(self._path)
            yield path
        except OSError as error:
            raise _from_system(error, self.url, path, writing=writing) from error
        except (rewrite.NotAnEnvFileError, UnsafeEditError, ForeignLinkError) as error:
            raise StoreError(f"{self.url}: {error}") from None
        except ForeignLockError:
            raise StoreUnreachableError(
                f"{self.url}: {_shown(path)}{rewrite.SIDECAR}lock is no regular file, so no rotator"
                " made it: remove it"
            ) from None
        except LockTimeoutError:
            raise StoreUnreachableError(
                f"{self.url}: another rotator has been holding {_shown(path)}{rewrite.SIDECAR}lock"
                " for too long, perhaps with a hook: try again when it is done; if none is running,"
                " another user left it behind: remove it"
            ) from None
        except rewrite.ChangedError:
            if writing:
                text = "the file keeps changing, or another program has locked it: try again later"
                raise ConflictError(f"{self.url}: {text}") from None
            text = "the file keeps changing while it is read: try again when it is at rest"
            raise StoreUnreachableError(f"{self.url}: {text}") from None

    def _change(self, edit: Callable[[EnvText], EnvText], expected: str) -> str:
        """Give the file the content that `edit` makes of it; return the new version."""
        with self.hold(), self._file(writing=True) as path:
            for _ in range(_ATTEMPTS):
                state = rewrite.read_once(path)
                text = self._written
                if text is None or text.content != state.content:
                    text = EnvText(state.content, self._variable)
                if path != self._locked or _version(text.variable) != expected:
                    raise ConflictError(
                        f"{self.url}: somebody else changed {self._variable} since it was read;"
                        " nothing was written: look at it again"
                    )
                edited = edit(text)
                if edited.content != state.content:
                    try:
                        rewrite.change(path, state, edited.content)
                    except rewrite.ChangedError:
                        continue  # by somebody without a lock, since it was read
                self._written = edited
                return _version(edited.variable)
            raise rewrite.ChangedError  # which `_file` turns into a `ConflictError`


class ScratchVariable(DotenvStore):
    """The scratch place of a rehearsal, at the end of the file that holds the secret."""

    _warns = False  # since the secret's own does

    def preflight(self) -> None:
        """Prove that it can be written, in a file that is there already."""
        with self._file(writing=True) as path:
            if not path.exists():
                raise StoreError(
                    f"{self.url}: cannot be rehearsed: there is no such file yet; rotator rotate"
                    " makes it"
                )
        super().preflight()

    def remove(self, journal: Journal, *, expected: str) -> None:
        """Remove the line and the one above it; only a journal that is not empty needs them."""
        wanted = Variable(None, journal.to_text())
        self._change(lambda text: text.without_variable().with_variable(wanted), expected)


def _has_leftovers(path: Path) -> bool:
    with suppress(OSError, ForeignLockError):  # the look for them must not fail the read
        return rewrite.has_leftovers(path) and not _lock_of(path).is_held()
    return False


def _is_for_all(state: rewrite.FileState) -> bool:
    return state.status is not None and bool(state.status.st_mode & stat.S_IROTH)


def _lock_of(path: Path) -> FileLock:
    return FileLock(path.with_name(f"{path.name}{rewrite.SIDECAR}lock"))


# Addresses and errors


def _read_path(url: StoreUrl) -> Path:
    path = url.location
    if path.startswith("//"):
        host, slash, rest = path[2:].partition("/")
        if host:
            raise ConfigError(
                "a dotenv: store is a file of this machine and has no host:"
                " write dotenv:relative/.env or dotenv:///absolute/.env"
            )
        path = slash + rest
    if not path or path.endswith("/") or "\0" in path:
        raise ConfigError(
            f"a dotenv: store needs the path of a file, found {path!r}:"
            " write dotenv:.env or dotenv:///srv/bot/.env"
        )
    if path[0] in "~$'\"":
        raise ConfigError(
            f"a dotenv: store needs a plain path, found {path!r}: ~, $ and quotes are not expanded"
            " here; write the path itself"
        )
    return Path(url.folder, path).absolute()


def _version(variable: Variable) -> str:
    text = f"{variable.value or ''}\n{variable.journal}"
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _from_system(error: OSError, url: str, path: Path, *, writing: bool) -> StoreError:
    if error.errno in (errno.EACCES, errno.EPERM):
        right = _missing_right(error, path, writing=writing)
        return StoreDeniedError(f"{url}: user {os.geteuid()} {right}")
    reason = error.strerror or type(error).__name__
    if error.errno == errno.ENOENT and path.parent.is_dir():  # such as /proc
        text = f"the file system of {_shown(path.parent)} lets nobody create files there"
        return StoreUnreachableError(f"{url}: {text}: choose another folder")
    unknown = (StoreUnreachableError, f"{reason}: check the file system of {{folder}}")
    kind, sentence = _KNOWN.get(error.errno, unknown)
    return kind(f"{url}: {sentence.format(file=_shown(path), folder=_shown(path.parent))}")


def _missing_right(error: OSError, path: Path, *, writing: bool) -> str:
    if str(error.filename).endswith((f"{rewrite.SIDECAR}backup", f"{rewrite.SIDECAR}new")):
        return (
            f"may not read {_shown(Path(error.filename))}, a copy that another user's rotator left"
            " when it died: run that one again, as its user"
        )
    if writing and error.errno == errno.EPERM:
        return (
            f"may not change {_shown(path)}, whatever its rights: remove an immutable flag or"
            " append-only flag from it and its folder (chattr), or use another file system"
        )
    if writing and rewrite.SIDECAR in str(error.filename):
        return (
            f"may not create files in {_shown(path.parent)}, which replacing the file needs:"
            " grant write and search rights (wx) on that folder"
        )
    verb, rights = ("change", "read and write rights (rw)") if writing else ("read", "read rights")
    return (
        f"may not {verb} {_shown(path)}: grant {rights} on it and search rights (x) on its folders"
    )


def _shown(path: Path) -> str:
    return str(path) if str(path).isprintable() else repr(str(path))

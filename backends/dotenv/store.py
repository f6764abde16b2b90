"""The `.env` store: one variable of one file, changed as carefully as the best editor would.

    dotenv:.env#NAME    dotenv:sub/.env    dotenv:///srv/bot/.env#NAME

Only the value and its journal (a comment line above it) ever change. Readers see the old file or
the new one; mode, owner, access lists, symlinks, newlines and all other bytes stay what they were.
"""

import hashlib
import logging
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from backends.dotenv.address import DotenvAddress
from backends.dotenv.failures import translate_failures
from backends.dotenv.files import FileState, read_file
from backends.dotenv.lock import FileLock
from backends.dotenv.rewrite import ChangedError, change, prove_changeable, read_settled, settle
from backends.dotenv.text import EnvText, Variable
from rotator.errors import ConflictError, StoreError
from rotator.stores.journal import Journal
from rotator.stores.port import Absent, Entry, StoreUrl

# No quoting, in no style, changes any of these for sh or for python-dotenv; `~` in front would.
_SAFE = re.compile(r"(?!~)[A-Za-z0-9_.~+/=-]{1,8192}")
_SAMPLE = Variable("x", "v=1 token=x")
_ATTEMPTS = 5
_log = logging.getLogger(__name__)


def open_store(url: StoreUrl) -> "DotenvStore":
    """Return the store behind a `dotenv:` URL, without opening the file; raises `ConfigError`."""
    return DotenvStore(DotenvAddress.parse(url))


class DotenvStore:
    """A secret in a `.env` file; see `rotator.stores.port.SecretStore` for the promises.

    `lock_timeout` is in seconds.
    """

    def __init__(self, address: DotenvAddress, *, lock_timeout: float = 120.0) -> None:
        self._address = address
        self._url = address.canonical
        self._lock_timeout = lock_timeout
        self._locked: Path | None = None
        self._has_warned = False

    def __repr__(self) -> str:
        return f"DotenvStore({self._url!r})"

    @property
    def url(self) -> str:
        """The canonical address: absolute, symlinks followed."""
        return self._url

    def read(self) -> Entry | Absent:
        """Return the secret, its version and its journal."""
        with self._file(writing=False) as path:
            state = read_settled(path)
            variable = EnvText(state.content, self._address.variable).variable
        self._warn_if_open(state)
        version, journal = _version(variable), Journal.from_text(variable.journal)
        if variable.value is None:
            return Absent(version, journal)
        # Text that is no UTF-8 is no token; it must not break the message that says so.
        secret = variable.value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        return Entry(secret, version, journal)

    def preflight(self) -> None:
        """Prove that `write` and `note` would succeed: rights, space, a line that can be changed.

        A file of zeros is created beside the target and removed again; nothing else happens.
        """
        with self._file(writing=True) as path:
            state = read_settled(path)
            text = EnvText(state.content, self._address.variable)
            for wanted in (_SAMPLE, Variable(text.variable.value, _SAMPLE.journal)):
                text.with_variable(wanted)
            prove_changeable(path, state)

    def write(self, secret: str, journal: Journal, *, expected: str) -> str:
        """Replace value and journal line, of the file as it is now, in one step."""
        if not _SAFE.fullmatch(secret):
            raise StoreError(
                f"{self._url}: this secret is not written: a .env file takes up to 8192 characters"
                " out of letters, digits and _.~+/=- (no ~ in front); tokens are made of these"
            )
        return self._change(secret, journal, expected)

    def note(self, journal: Journal, *, expected: str) -> str:
        """Replace the journal line alone; above an empty `NAME=` where there is no variable."""
        return self._change(None, journal, expected)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep the other rotators of this machine out, and repair what a killed one left."""
        if self._locked:
            yield
            return
        with self._file(writing=True) as path:
            lock = FileLock(path)
            lock.acquire(self._lock_timeout)
        self._locked = path
        try:
            with translate_failures(self._url, path, writing=True):
                settle(path)
            yield
        finally:
            self._locked = None
            lock.release()

    def held_elsewhere(self) -> bool:
        """Tell whether another process of this machine is inside `hold`, by its lock file."""
        with self._file(writing=False) as path:
            return FileLock(path).held_elsewhere()

    @contextmanager
    def _file(self, *, writing: bool) -> Iterator[Path]:
        """Yield the file, where the symlinks lead now; every failure becomes a `StoreError`."""
        path = self._address.target
        with translate_failures(self._url, path, writing=writing):
            yield path

    def _change(self, secret: str | None, journal: Journal, expected: str) -> str:
        """Write a journal and a secret, or leave the secret alone where it is None."""
        name = self._address.variable
        with self.hold(), self._file(writing=True) as path:
            for _ in range(_ATTEMPTS):
                state = read_file(path)
                text = EnvText(state.content, name)
                if path != self._locked or _version(text.variable) != expected:
                    raise ConflictError(
                        f"{self._url}: somebody else changed {name} since it was read;"
                        " nothing was written: look at it again"
                    )
                value = text.variable.value if secret is None else secret
                wanted = Variable(value, journal.to_text())
                content = text.with_variable(wanted)
                if content == state.content:
                    return _version(wanted)
                with suppress(ChangedError):
                    change(path, state, content)
                    return _version(wanted)
            raise ChangedError

    def _warn_if_open(self, state: FileState) -> None:
        if not self._has_warned and state.status and state.status.st_mode & stat.S_IROTH:
            self._has_warned = True
            _log.warning("%s is readable by every user of this machine: chmod 600 it", self._url)


def _version(variable: Variable) -> str:
    text = f"{variable.value or ''}\n{variable.journal}"
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()

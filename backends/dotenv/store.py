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

from backends.dotenv.address import Address
from backends.dotenv.failures import translated
from backends.dotenv.files import Seen, load
from backends.dotenv.lock import FileLock
from backends.dotenv.rewrite import ChangedError, change, load_settled, prove_changeable, settle
from backends.dotenv.text import Document, Variable
from rotator.errors import ConflictError, StoreError
from rotator.stores.journal import Journal
from rotator.stores.port import Absent, Entry, StoreUrl

# No quoting, in no style, changes any of these for sh or for python-dotenv; `~` in front would.
_SAFE = re.compile(r"(?!~)[A-Za-z0-9_.~+/=-]{1,8192}")
_SAMPLE = Variable("x", "v=1 token=x")
_ATTEMPTS = 5
_log = logging.getLogger(__name__)


def open_store(url: StoreUrl) -> "DotenvStore":
    """Return the store behind a `dotenv:` URL; nothing is looked at yet."""
    return DotenvStore(Address.parse(url))


class DotenvStore:
    """A secret in a `.env` file; see `rotator.stores.port.SecretStore` for the promises."""

    def __init__(self, address: Address, *, lock_timeout: float = 120.0) -> None:
        self._address = address
        self._url = address.canonical
        self._lock_timeout = lock_timeout
        self._held: Path | None = None
        self._warned = False

    def __repr__(self) -> str:
        return f"DotenvStore({self._url!r})"

    @property
    def url(self) -> str:
        """The canonical address: absolute, symlinks followed."""
        return self._url

    def read(self) -> Entry | Absent:
        """Return the secret, its version and its journal."""
        path = self._address.target
        with translated(self._url, path, writing=False):
            seen = load_settled(path)
            variable = Document(seen.content, self._address.variable).variable
        self._warn_if_open(seen)
        version, journal = _version(variable), Journal.from_text(variable.journal)
        if variable.value is None:
            return Absent(version, journal)
        # What is no UTF-8 is no token: it only must not break the message that says so.
        secret = variable.value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        return Entry(secret, version, journal)

    def preflight(self) -> None:
        """Prove that `write` and `note` would succeed: rights, space, a line that can be changed.

        A file of zeros is created beside the target and removed again; nothing else happens.
        """
        path = self._address.target
        with translated(self._url, path, writing=True):
            seen = load_settled(path)
            document = Document(seen.content, self._address.variable)
            noted = Variable(document.variable.value, _SAMPLE.journal)
            for wanted in (_SAMPLE, noted):
                document.with_variable(wanted)
            prove_changeable(path, seen)

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
        """Keep the other rotators of this machine out, and mend what one left that was killed."""
        if self._held:
            yield
            return
        path = self._address.target
        lock = FileLock(path)
        with translated(self._url, path, writing=True):
            lock.acquire(self._lock_timeout)
        self._held = path
        try:
            with translated(self._url, path, writing=True):
                settle(path)
            yield
        finally:
            self._held = None
            lock.release()

    def held_elsewhere(self) -> bool:
        """Tell whether another process of this machine is inside `hold`, by its lock file."""
        path = self._address.target
        with translated(self._url, path, writing=False):
            return FileLock(path).held_elsewhere()

    def _change(self, secret: str | None, journal: Journal, expected: str) -> str:
        """Write a journal and a secret, or leave the secret alone where it is None."""
        with self.hold():
            path = self._address.target
            with translated(self._url, path, writing=True):
                return self._write(path, secret, journal.to_text(), expected)

    def _write(self, path: Path, secret: str | None, journal: str, expected: str) -> str:
        name = self._address.variable
        for _ in range(_ATTEMPTS):
            seen = load(path)
            document = Document(seen.content, name)
            current = document.variable
            if path != self._held or _version(current) != expected:
                raise ConflictError(
                    f"{self._url}: somebody else changed {name} since it was read;"
                    " nothing was written: look at it again"
                )
            wanted = Variable(current.value if secret is None else secret, journal)
            content = document.with_variable(wanted)
            if content == seen.content:
                return _version(wanted)
            with suppress(ChangedError):
                change(path, seen, content)
                return _version(wanted)
        raise ChangedError

    def _warn_if_open(self, seen: Seen) -> None:
        if self._warned or seen.status is None or not seen.status.st_mode & stat.S_IROTH:
            return
        self._warned = True
        _log.warning("%s is readable by every user of this machine: chmod 600 it", self._url)


def _version(variable: Variable) -> str:
    text = f"{variable.value or ''}\n{variable.journal}"
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()

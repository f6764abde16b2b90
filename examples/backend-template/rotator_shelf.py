"""Secrets on a shelf, a JSON file: `shelf:shelf.json#KEY`."""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from tempfile import NamedTemporaryFile

from rotator.errors import ConfigError, ConflictError, StoreDeniedError, StoreUnreachableError
from rotator.stores.journal import Journal
from rotator.stores.port import DEFAULT_FIELD, Absent, Entry, StoreUrl


def open_store(url: StoreUrl) -> "Shelf":
    if url.query or url.location.startswith("//"):
        raise ConfigError("a shelf: store is a file, as in shelf:shelf.json#KEY")
    return Shelf(Path(url.folder, url.location).resolve(), url.field or DEFAULT_FIELD)


class Shelf:
    def __init__(self, path: Path, key: str) -> None:
        self.url = f"shelf:{path}#{key}"
        self._path = path
        self._key = key

    def read(self) -> Entry | Absent:
        with self._told():
            secret, journal = self._shelf().get(self._key, ("", ""))
        version = _version(secret, journal)
        if not secret:
            return Absent(version, Journal.from_text(journal))
        return Entry(secret, version, Journal.from_text(journal))

    def preflight(self) -> None:
        with self._told(), NamedTemporaryFile(dir=self._path.parent):
            self._shelf()

    def write(self, secret: str, journal: Journal, *, expected: str) -> None:
        self._change(secret, journal, expected)

    def note(self, journal: Journal, *, expected: str) -> str:
        return self._change(None, journal, expected)

    def hold(self) -> AbstractContextManager[None]:
        return nullcontext()  # each write compares and sets: that is enough

    def held_elsewhere(self) -> None:
        return None  # nobody is kept out, so nobody knows

    def _change(self, secret: str | None, journal: Journal, expected: str) -> str:
        with self._told(), self._locked():
            shelf = self._shelf()
            found, noted = shelf.get(self._key, ("", ""))
            if _version(found, noted) != expected:
                raise ConflictError(f"{self.url}: somebody else changed it: look at it again")
            shelf[self._key] = (found if secret is None else secret, journal.to_text())
            with NamedTemporaryFile("w", dir=self._path.parent, delete=False) as new:
                json.dump(shelf, new)
                new.flush()
                os.fsync(new.fileno())
            Path(new.name).replace(self._path)
        return _version(*shelf[self._key])

    def _shelf(self) -> dict[str, tuple[str, str]]:
        self._path.parent.stat()  # a missing folder is no empty shelf
        return dict(json.loads(self._path.read_text())) if self._path.exists() else {}

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._path.with_name(f"{self._path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except PermissionError:
            raise StoreDeniedError(f"{self.url}: not permitted: see the folder's mode") from None
        except (OSError, ValueError, TypeError) as error:
            raise StoreUnreachableError(f"{self.url}: broken ({type(error).__name__})") from None


def _version(secret: str, journal: str) -> str:
    return hashlib.sha256(f"{secret}\n{journal}".encode()).hexdigest()

"""Stores that are never written: a file with a bare token, and one that cannot be opened.

A bare file, such as a mounted Secret, is for bots; the rotator does not read it.
"""

import os
import stat
from abc import ABC, abstractmethod
from hashlib import sha256
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

from rotator.errors import ConfigError, StoreDeniedError, StoreError, StoreUnreachableError
from rotator.stores.journal import Journal
from rotator.stores.port import Entry, parse_url

_LARGEST = 64 * 1024  # bytes; a token has a few hundred


class _RefusingStore(ABC):
    """Refuses all that changes a store, or prepares a change."""

    @abstractmethod
    def refusal(self) -> StoreError:
        """Return the error that says why."""

    def preflight(self) -> NoReturn:
        """Refuse."""
        raise self.refusal()

    def write(self, *_arguments: object, **_named: object) -> NoReturn:
        """Refuse."""
        raise self.refusal()

    hold = held_elsewhere = preflight
    note = write


class UnavailableStore(_RefusingStore):
    """Stands in for a store or a mirror that cannot be opened.

    Each call raises `StoreUnreachableError`.
    """

    def __init__(self, url: str, message: str) -> None:
        self.url = url
        self._message = message

    def refusal(self) -> StoreError:
        """Return the error."""
        return StoreUnreachableError(self._message)

    read = seen = _RefusingStore.preflight
    push = _RefusingStore.write


class BareFile(_RefusingStore):
    """The store behind a `file:` URL; see `rotator.stores.port.SecretStore`."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        # Symlinks are followed at each read.
        self.url = f"file://{quote(os.fsencode(self._path), safe='/+,=:@~')}"

    @classmethod
    def open(cls, text: str, folder: Path) -> "BareFile":
        """Return the store; relative paths start at `folder`. Raises `ConfigError`."""
        url = parse_url(text, folder)
        path = url.location.removeprefix("//")
        with_host = url.location.startswith("//") and not path.startswith("/")
        if url.query or with_host or not path or path.endswith("/") or "\0" in path:
            raise ConfigError(
                "found a file: URL without a path, or with a host or options, expected one such as"
                " file:/run/secrets/token"
            )
        return cls(folder / path)

    def read(self) -> Entry:
        """Return the text without one line break at its end, and an empty journal."""
        try:
            # Who opens a FIFO would wait for its writer.
            with open(self._path, "rb", opener=_open_at_once) as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise StoreUnreachableError(f"{self.url}: it is no regular file: name one")
                content = file.read(_LARGEST)
        except FileNotFoundError:
            # Not `Absent`: the mount may be missing, like the folder of another store.
            raise StoreUnreachableError(
                f"{self.url}: there is no such file: mount it, or correct the path"
            ) from None
        except PermissionError:
            user = os.geteuid()
            raise StoreDeniedError(
                f"{self.url}: user {user} may not read it: grant read rights (r)"
            ) from None
        except (OSError, ValueError) as error:  # ValueError: there is a NUL in the path
            why = error.strerror if isinstance(error, OSError) else error
            raise StoreUnreachableError(f"{self.url}: it cannot be read ({why})") from None
        secret = content.decode("utf-8", "replace").removesuffix("\n").removesuffix("\r")
        return Entry(secret, sha256(secret.encode()).hexdigest(), Journal())

    def refusal(self) -> StoreError:
        """Return the error."""
        return StoreDeniedError(f"{self.url}: a file with a bare token is only read")


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)

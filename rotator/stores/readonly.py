"""Stores for those who only read them: a bare file is among them."""

import os
from contextlib import AbstractContextManager
from hashlib import sha256
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

from rotator.errors import ConfigError, StoreDeniedError, StoreUnreachableError
from rotator.stores.journal import Journal
from rotator.stores.port import Entry, parse_url

_LARGEST = 64 * 1024  # bytes; a token has a few hundred


def content(path: Path) -> str:
    """Return the text in a file, without one line break at its end.

    Raises `OSError`, and `ValueError` for what can be no path.
    """
    with path.open("rb") as file:
        text = file.read(_LARGEST)
    return text.decode("utf-8", "replace").removesuffix("\n").removesuffix("\r")


_SCHEME = "file"


class BareFile:
    """The store behind a `file:` URL; see `rotator.stores.port.SecretStore`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @staticmethod
    def serves(text: str) -> bool:
        """Tell whether this is the URL of such a file."""
        return text.partition(":")[0].lower() == _SCHEME

    @classmethod
    def open(cls, text: str, folder: Path) -> "BareFile":
        """Return the store; relative files start at `folder`. Raises `ConfigError`."""
        url = parse_url(text, folder)
        path = url.location.removeprefix("//")
        with_host = url.location.startswith("//") and not path.startswith("/")
        if url.query or with_host or not path or path.endswith("/") or "\0" in path:
            raise ConfigError(
                "found a file: URL without a path, or with a host or options, expected one such as"
                " file:/run/secrets/token"
            )
        return cls((folder / path).absolute())

    @property
    def url(self) -> str:
        """The absolute path, whose symlinks are followed anew at each look."""
        return f"{_SCHEME}://{quote(os.fsencode(self._path), safe='/+,=:@~')}"

    def read(self) -> Entry:
        """Return the token, with an empty journal."""
        try:
            secret = content(self._path)
        except FileNotFoundError:
            # No `Absent`: like a missing folder of another store it may be a missing mount.
            raise StoreUnreachableError(
                f"{self.url}: there is no such file: mount it, or correct the path"
            ) from None
        except PermissionError:
            user = os.geteuid()
            raise StoreDeniedError(
                f"{self.url}: user {user} may not read it: grant read rights (r)"
            ) from None
        except OSError as error:
            raise StoreUnreachableError(
                f"{self.url}: it cannot be read ({error.strerror})"
            ) from None
        return Entry(secret, sha256(secret.encode()).hexdigest(), Journal())

    def preflight(self) -> NoReturn:
        """Refuse."""
        self._refuse()

    def write(self, secret: str, journal: Journal, *, expected: str) -> NoReturn:  # noqa: ARG002 - the port's
        """Refuse."""
        self._refuse()

    def note(self, journal: Journal, *, expected: str) -> NoReturn:  # noqa: ARG002 - (the same)
        """Refuse."""
        self._refuse()

    def hold(self) -> AbstractContextManager[None]:
        """Refuse."""
        self._refuse()

    def held_elsewhere(self) -> None:
        """Nobody can know."""

    def _refuse(self) -> NoReturn:
        raise StoreDeniedError(f"{self.url}: a file with a bare token is only read")

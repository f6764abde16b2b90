"""From a store URL to a path and a variable, and back to the one canonical URL."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from rotator.errors import ConfigError
from rotator.stores.port import DEFAULT_FIELD, StoreUrl

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# What may be repeated in a message: a token pasted in the wrong place is longer, and has dots.
_HARMLESS = re.compile(r"[A-Za-z0-9_-]{1,40}")


@dataclass(frozen=True, slots=True)
class Address:
    """An absolute path, whose symlinks are still to be followed, and the name of a variable."""

    path: Path
    variable: str

    @classmethod
    def parse(cls, url: StoreUrl) -> "Address":
        """Take `dotenv:.env#NAME` or `dotenv:///srv/bot/.env#NAME` apart, or say what is wrong."""
        if url.query:
            raise ConfigError(
                f"a dotenv: store takes no options, found {', '.join(sorted(url.query))!r}:"
                " remove the part between `?` and `#`"
            )
        return cls(_path(url), _variable(url))

    @property
    def target(self) -> Path:
        """The file itself, at the end of all symlinks as they are now; a loop stays as it is."""
        return Path(os.path.realpath(self.path))

    @property
    def canonical(self) -> str:
        """The same text for the same variable of the same file."""
        return f"dotenv://{quote(os.fsencode(self.target), safe='/+,=:@~')}#{self.variable}"


def _path(url: StoreUrl) -> Path:
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


def _variable(url: StoreUrl) -> str:
    if url.field is None:
        return DEFAULT_FIELD
    if not _NAME.fullmatch(url.field):
        found = f", found {url.field!r}" if _HARMLESS.fullmatch(url.field) else ""
        raise ConfigError(
            "after the `#` of a dotenv: store stands the name of a variable"
            f" (letters, digits and _, not starting with a digit){found}"
        )
    return url.field

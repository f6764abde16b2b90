"""From a store URL to a path and a variable, and back to the one canonical URL."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from rotator.errors import ConfigError, quote_value
from rotator.stores.port import DEFAULT_FIELD, StoreUrl

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class DotenvAddress:
    """An absolute path, whose symlinks are still to be followed, and the name of a variable."""

    path: Path
    variable: str

    @classmethod
    def parse(cls, url: StoreUrl) -> "DotenvAddress":
        """Take `dotenv:.env#NAME` or `dotenv:///srv/bot/.env#NAME` apart; raises `ConfigError`."""
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
        return cls(_read_path(url), variable)

    @property
    def target(self) -> Path:
        """The file itself, at the end of all symlinks as they are now; a loop stays as it is."""
        return Path(os.path.realpath(self.path))

    @property
    def canonical(self) -> str:
        """The same text for the same variable of the same file."""
        return f"dotenv://{quote(os.fsencode(self.target), safe='/+,=:@~')}#{self.variable}"


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

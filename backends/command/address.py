"""From a `command:` URL to the program, its arguments and a name, and back to one URL."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote, quote_plus

from backends.remote import check_options
from rotator.errors import ConfigError, has_control, quote_value
from rotator.stores.port import DEFAULT_FIELD, SCRATCH, StoreUrl

_EXAMPLE = "command:/usr/local/lib/luna-store?args=prod#NOCTURNA_SERVICE_TOKEN"
_SAFE = "/+,=:@~"
_SAFE_IN_ARGS = "/,:@~"


@dataclass(frozen=True, slots=True)
class CommandAddress:
    """A program, its first arguments, and the name of the secret that it is asked for.

    The program runs in `workdir`, the folder of the settings. In `folder`, if there is one, the
    rotator itself keeps what the program cannot.
    """

    program: Path
    args: tuple[str, ...]
    name: str
    workdir: Path
    folder: Path | None = None

    @classmethod
    def parse(cls, url: StoreUrl) -> "CommandAddress":
        """Take a URL apart; raises `ConfigError`."""
        check_options(url, "args", "folder")
        name = DEFAULT_FIELD if url.field is None else url.field
        args = url.query.get("args", "").split()
        if any(map(has_control, (name, *args))):
            raise ConfigError("a command: store takes no control characters in args and name")
        folder = url.query.get("folder")
        return cls(
            program=_read_path(url, url.location, "the path of a program"),
            args=tuple(args),
            name=name,
            workdir=url.folder,
            folder=_read_path(url, folder, "a folder after folder=") if folder else None,
        )

    @property
    def canonical(self) -> str:
        """The same text for the same secret; the folder does not count."""
        args = "+".join(quote_plus(each, safe=_SAFE_IN_ARGS) for each in self.args)
        args = f"?args={args}" if args else ""
        return (
            f"command:{quote(str(self.program), safe=_SAFE)}{args}#{quote(self.name, safe=_SAFE)}"
        )

    @property
    def scratch(self) -> "CommandAddress":
        """The name beside this one."""
        return replace(self, name=f"{self.name}{SCRATCH}")

    @property
    def label(self) -> str:
        """A file name of its own for this program with these arguments."""
        digest = hashlib.sha256(self.canonical.partition("#")[0].encode()).hexdigest()[:16]
        return f"{self.program.name}-{digest}"


def _read_path(url: StoreUrl, text: str, what: str) -> Path:
    path = text.removeprefix("//")
    if not path or path.endswith("/") or has_control(path) or path[0] in "~$'\"":
        raise ConfigError(
            f"a command: store needs {what}, in which ~ and $ are not expanded, found"
            f" {quote_value(text)}: write {_EXAMPLE}"
        )
    if text.startswith("//") and not path.startswith("/"):
        raise ConfigError(f"a command: store is a program of this machine: write {_EXAMPLE}")
    return Path(url.folder, path).absolute()

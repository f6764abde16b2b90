"""The files of three bots, none of which is written like another one."""

import os
import re
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import NamedTuple

from dotenv import dotenv_values

from rotator.stores.journal import Journal

_NOTE = re.compile(rb"^# rotator: ([^\r\n]*)\r?\n", re.MULTILINE)
_SOMEBODY = 65534


class EnvFile(NamedTuple):
    """A `.env` file; `around` is its content, with marks where note and token belong.

    Where this machine allows it the file has another group, or an attribute, that a new one has
    to take over.
    """

    name: str
    variable: str
    mode: int
    around: bytes
    other_group: bool = False
    attribute: bool = False

    def content(self, token: str, note: bytes = b"") -> bytes:
        return self.around.replace(b"<note>", note).replace(b"<token>", token.encode())

    def put(self, folder: Path, token: str) -> None:
        path = folder / self.name
        path.write_bytes(self.content(token))
        path.chmod(self.mode)
        with suppress(OSError):
            if self.attribute:
                os.setxattr(path, "user.bot", self.name.encode())
            if self.other_group:
                os.chown(path, -1, _SOMEBODY)

    def token(self, folder: Path) -> str:
        """Return what a bot reads."""
        text = (folder / self.name).read_bytes().decode("utf-8-sig")
        return dotenv_values(stream=StringIO(text), interpolate=False).get(self.variable) or ""

    def journal(self, folder: Path) -> Journal:
        note = _NOTE.search((folder / self.name).read_bytes())
        return Journal.from_text(note[1].decode() if note else "")

    def is_as_it_was(self, folder: Path) -> bool:
        """Tell whether nothing but the token and its note changed."""
        found = (folder / self.name).read_bytes()
        note = _NOTE.search(found)
        return found == self.content(self.token(folder), note[0] if note else b"")


def attributes(folder: Path) -> dict[str, tuple[object, ...]]:
    """Return the names of all files in a folder, with all that is kept beside their content."""
    return {
        path.name: (
            path.stat().st_mode,
            path.stat().st_uid,
            path.stat().st_gid,
            {key: os.getxattr(path, key) for key in os.listxattr(path)},
        )
        for path in folder.iterdir()
    }


SOL = EnvFile(
    "sol.env",
    "NOCTURNA_SERVICE_TOKEN",
    0o600,
    b"# Sol\nexport A='1'\n\n<note>NOCTURNA_SERVICE_TOKEN=<token>\nB=2   # two\n",
)
LUNA = EnvFile(
    "luna.env",
    "API_TOKEN",
    0o640,
    b'\xef\xbb\xbf# W\xc3\xa4chter\r\nBOT_NAME="Luna"\r\n<note>API_TOKEN="<token>"\r\nEMPTY=\r\n',
    attribute=True,
)
NYX = EnvFile(
    "nyx.env",
    "NOCTURNA_SERVICE_TOKEN",
    0o600,
    b"LINES=\"one\ntwo\"\n<note>export NOCTURNA_SERVICE_TOKEN='<token>' # mine\nLAST=no newline",
    other_group=True,
)
ENV_FILES = (SOL, LUNA, NYX)

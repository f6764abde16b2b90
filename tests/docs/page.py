"""A page of recipes as data: its sections, and in each the files and commands in their order."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_PATH = re.compile(r"(?:#|//) (\S+)(?:, .*)?")


class Block(NamedTuple):
    """A block of a page; a file has its `path` in its first line, commands have none."""

    language: str
    text: str

    @property
    def path(self) -> str | None:
        found = _PATH.fullmatch(self.text.partition("\n")[0])
        return found[1] if found and self.language != "sh" else None

    @property
    def is_addition(self) -> bool:
        """Whether it is to be added to a file that is there."""
        return ", " in self.text.partition("\n")[0] and self.path is not None


def sections(page: str) -> dict[str, str]:
    """Return the text of each section below the second or third level, by its title."""
    parts = re.split(r"^##+ (.*)\n", (ROOT / page).read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def blocks(text: str) -> list[Block]:
    return [Block(*found) for found in _BLOCK.findall(text)]

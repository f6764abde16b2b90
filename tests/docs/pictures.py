"""`python -m tests.docs.pictures`: a terminal with the demo as pictures, light and dark.

They are drawn by rich out of what `rotator demo` really prints.
"""

import html
import io
import os
import pty
import re
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from tests.support.waiting import PATIENCE

FOLDER = Path(__file__).parents[2] / "docs/screenshots"
WIDTH = 80  # columns
ROTATOR = Path(sys.executable).with_name("rotator")
TITLE = "rotator demo"
_CELL = 12.2  # the width of a character in rich's pictures
# What differs from run to run is as it was in this one: as wide, so that nothing moves.
_IDS = ("c7650b64-cfaf-4145-a636-8db42094cb12", "6d927cbd-b25b-45ef-a034-49c1e2d79a3a")
_TIMES = ("2026-11-26 10:42 UTC", "2027-02-21 10:42 UTC")
_FONT = 'ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace'
_REPLACED = (
    (r"@font-face \{.*?\n    \}\n\s*", ""),
    ("Fira Code, monospace|arial", _FONT),
    (r"rgba\(255,255,255,0\.35\)", "rgba(110,118,129,0.4)"),  # a border that shows on white
)


def _theme(background: str, foreground: str, *palette: str) -> TerminalTheme:
    def rgb(colour: str) -> tuple[int, int, int]:
        red, green, blue = bytes.fromhex(colour)
        return red, green, blue

    return TerminalTheme(rgb(background), rgb(foreground), list(map(rgb, palette)))


THEMES: Mapping[str, TerminalTheme] = {
    "light": _theme(
        *("ffffff", "1f2328"),
        *("24292f", "cf222e", "116329", "9a6700", "0969da", "8250df", "1b7c83", "656d76"),
    ),
    "dark": _theme(
        *("0d1117", "e6edf3"),
        *("484f58", "ff7b72", "3fb950", "d29922", "58a6ff", "bc8cff", "39c5cf", "8b949e"),
    ),
}


def record(folder: Path) -> str:
    """Return what the demo prints on a terminal of 80 columns, with its colours."""
    mine, theirs = pty.openpty()
    env = {**os.environ, "COLUMNS": str(WIDTH), "TERM": "xterm-256color", "TMPDIR": str(folder)}
    env.pop("NO_COLOR", None)
    shown = b""
    with subprocess.Popen([ROTATOR, "demo"], env=env, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        with suppress(OSError):  # Linux says EIO when the other side is gone
            while chunk := os.read(mine, 65536):
                shown += chunk
        process.wait(PATIENCE)
    os.close(mine)
    return shown.decode().replace("\r\n", "\n")


def make_same(shown: str, folder: Path) -> str:
    """Return the same with the example's own path, address, ids and times."""
    shown = shown.replace(str(folder), "/tmp")  # noqa: S108 - only shown
    shown = re.sub(r"nocturna-demo-\w+", "nocturna-demo-le5tllvt", shown)
    shown = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:34355", shown)
    ids = dict.fromkeys(re.findall(r"<token ([0-9a-f]{8})…", shown))
    for found, wanted in zip(ids, _IDS, strict=True):
        for part in sorted(set(re.findall(rf"{found}[0-9a-f-]*", shown)), key=len, reverse=True):
            shown = shown.replace(part, wanted[: len(part)])
    times = dict.fromkeys(re.findall(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", shown))
    for found, wanted in zip(times, _TIMES, strict=True):
        shown = shown.replace(found, wanted)
    return shown


def draw(shown: str, theme: TerminalTheme) -> str:
    """Return a picture of a terminal as SVG, which loads no font from elsewhere."""
    console = Console(width=WIDTH, record=True, file=io.StringIO())
    console.print(Text.from_ansi(shown.rstrip()), soft_wrap=True)
    svg = console.export_svg(title=TITLE, theme=theme, unique_id="demo")
    for theirs, ours in _REPLACED:
        svg = re.sub(theirs, ours, svg, flags=re.DOTALL)
    return svg


def read(svg: str) -> list[str]:
    """Return the lines of the terminal in a picture."""
    svg = svg.partition('-matrix">')[2]
    rows: dict[float, str] = {}
    for x, y, text in re.findall(r'<text [^>]*x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)</text>', svg):
        line = rows.get(float(y), "").ljust(round(float(x) / _CELL))
        rows[float(y)] = line + html.unescape(text).replace("\xa0", " ")
    return [line.rstrip() for _, line in sorted(rows.items())]


def main(folder: Path) -> None:
    shown = make_same(record(folder), folder)
    for name, theme in THEMES.items():
        (FOLDER / f"demo-{name}.svg").write_text(draw(shown, theme))


if __name__ == "__main__":
    with TemporaryDirectory() as name:
        main(Path(name))

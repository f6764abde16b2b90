"""Tables for a terminal: they fit its width, and no word in them is broken."""

import io
import shutil
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_GAP = "  "


def terminal_width() -> int:
    """Return the columns of the terminal, 80 where there is none."""
    return shutil.get_terminal_size().columns


def paint(draw: "Callable[[Console], Iterable[Text]]") -> str:
    """Return lines of rich text as a terminal shows them; colours are left out by NO_COLOR."""
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it

    text = io.StringIO()
    console = Console(file=text, highlight=False, width=terminal_width(), force_terminal=True)
    for line in draw(console):
        console.print(line, soft_wrap=True)
    return text.getvalue()


def render_table(
    titles: Sequence[str], rows: Sequence[Sequence[str]], spare: Sequence[str] = ()
) -> str:
    """Return cells of rich markup as a table; those of the last column may have several lines.

    Where the terminal is too narrow, the last column stands below each row; where that is not
    enough, the columns `spare` are left out, the first of them first. Ids and URLs stay whole, so
    that they can be copied: where one is wider than the terminal, so is its line.
    """
    return paint(lambda console: _draw(titles, rows, spare, console.width))


def _draw(
    titles: Sequence[str], rows: Sequence[Sequence[str]], spare: Sequence[str], width: int
) -> "Iterator[Text]":
    from rich.text import Text  # noqa: PLC0415 - only a terminal needs it

    head = [Text(title, "bold") for title in titles]
    table = [head, *([Text.from_markup(cell) for cell in row] for row in rows)]
    widths = {
        title: max(line.cell_len for cells in column for line in cells.split() or [cells])
        for title, column in zip(titles, zip(*table, strict=True), strict=True)
    }
    shown = list(titles)
    for title in (titles[-1], *spare):
        if sum(widths[each] + len(_GAP) for each in shown) - len(_GAP) > width:
            shown.remove(title)
    for cells in table:
        by_title = dict(zip(titles, cells, strict=True))
        last = by_title[titles[-1]].split()
        line = Text(_GAP).join(
            _pad(last[0] if title == titles[-1] and last else by_title[title], widths[title])
            for title in shown
        )
        line.rstrip()
        yield line
        if titles[-1] in shown:
            before = len(_GAP.join(" " * widths[title] for title in shown[:-1]) + _GAP)
            yield from (Text(" " * before) + each for each in last[1:])
        elif cells is not head:
            for each in last:
                yield from map(Text, _fill(each.plain, width, _GAP).splitlines())


def _pad(cell: "Text", width: int) -> "Text":
    padded = cell.copy()
    padded.pad_right(width - cell.cell_len)
    return padded


def wrap(line: str) -> str:
    """Return a line as lines of whole words, of which all but the first are indented further."""
    text = line.lstrip(" ")
    return _fill(text, terminal_width(), line.removesuffix(text))


def _fill(line: str, width: int, indent: str = "") -> str:
    return textwrap.fill(
        line,
        width,
        initial_indent=indent,
        subsequent_indent=indent + _GAP,
        break_long_words=False,
        break_on_hyphens=False,
    )

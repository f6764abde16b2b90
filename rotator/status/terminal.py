"""The picture of a fleet on a terminal: bars of remaining life, and beneath what is to be said."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.console import Console
from rich.text import Text

from rotator.clock import minute
from rotator.errors import one_line
from rotator.status.rows import FleetStatus, StatusRow, Tone, count_badges
from rotator.status.words import describe_renewal, describe_rest, find_notes, shorten

_COLOURS = {Tone.BAD: "red", Tone.WARN: "yellow", Tone.IDLE: "magenta", Tone.GOOD: "green"}
_TITLES = ("state", "token", "life", "left", "renewal", "expires", "store")
_NAME, _STORE = _TITLES.index("token"), _TITLES.index("store")
_NARROW, _WIDE = 60, 120  # columns: below there is no bar, above are dates and stores
_LEAST = {_NAME: 12, _STORE: 24}  # columns for a name, and for a store
_BAR, _WIDE_BAR = 15, 25
_MOST_GOOD = 30  # tokens; a fleet has hundreds that need nothing
_GAP = 2
_INDENT = 2


class Glyphs(NamedTuple):
    """The signs of the tones, and what a bar is made of."""

    signs: dict[Tone, str]
    full: str
    half: str
    empty: str
    more: str


_UNICODE = Glyphs(
    {Tone.BAD: "✗", Tone.WARN: "!", Tone.IDLE: "?", Tone.GOOD: "✓"}, "█", "▌", "░", "…"
)
_ASCII = Glyphs(
    {Tone.BAD: "x", Tone.WARN: "!", Tone.IDLE: "?", Tone.GOOD: " "}, "#", "=", "-", "..."
)


def choose_glyphs(encoding: str) -> Glyphs:
    """Return what `encoding` can write."""
    try:
        "".join((*_UNICODE.signs.values(), *_UNICODE[1:])).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return _ASCII
    return _UNICODE


class Painter:
    """Paints lines, none longer than the console is wide, of what `encoding` can write."""

    def __init__(self, console: Console, encoding: str) -> None:
        self._console = console
        self._width = console.width
        self._glyphs = choose_glyphs(encoding)
        self._bar_width = _WIDE_BAR if self._width >= _WIDE else _BAR

    def paint_fleet(self, fleet: FleetStatus, room: int | None = None) -> list[Text]:
        """Return the lines of a fleet, `room` at most.

        Without `room`, tokens that need nothing are left out beyond the first.
        """
        table = [[Text(title, "dim") for title in self._titles()]]
        table += [self._cells(row) for row in fleet.rows]
        widths = self._column_widths(table)
        lines = [*self._summary(fleet), Text(), *self._lay_out(table[0], widths)]
        shown = 0
        for row, cells in zip(fleet.rows, table[1:], strict=True):
            block = [*self._lay_out(cells, widths), *self._notes(row)]
            if room is None:
                is_full = row.badge[1] is Tone.GOOD and shown >= _MOST_GOOD
            else:  # the last line is for the rest
                is_full = len(lines) + len(block) >= room
            if is_full:
                break
            lines += block
            shown += 1
        if rest := fleet.rows[shown:]:
            lines += self._wrap(f"{self._glyphs.more} {describe_rest(rest)}", "dim")
        return lines

    def _summary(self, fleet: FleetStatus) -> list[Text]:
        counts = [
            Text(f"{self._glyphs.signs[tone]} {count} {word}", _COLOURS[tone])
            for word, (tone, count) in count_badges(fleet.rows).items()
        ]
        lines = list(Text(" " * _GAP).join(counts).wrap(self._console, self._width))
        source = f"by the daemon ({fleet.phase})" if fleet.phase else "from the stores"
        lines += self._wrap(f"as of {fleet.now:%Y-%m-%d %H:%M:%S} UTC, {source}", "dim")
        if fleet.reload_error:
            why = f"the settings could not be read again: {fleet.reload_error}"
            lines += self._wrap(f"{self._glyphs.signs[Tone.WARN]} {why}", _COLOURS[Tone.WARN])
        return lines

    def _titles(self) -> Sequence[str]:
        if self._width >= _WIDE:
            return _TITLES
        return _TITLES[: _STORE - 1] if self._width >= _NARROW else (*_TITLES[:2], "left")

    def _cells(self, row: StatusRow) -> list[Text]:
        word, tone = row.badge
        expires_at = row.report.expires_at if row.report else None
        stores = [shorten(each.store) for each in row.report.stores] if row.report else []
        more = f" +{len(stores) - 1}" if stores[1:] else ""
        cells = {
            "state": Text(f"{self._glyphs.signs[tone]} {word}", _COLOURS[tone]),
            "token": Text(one_line(row.name), "bold"),
            "life": self._bar(row),
            "left": Text(row.describe_life().removesuffix(" left")),
            "renewal": Text(describe_renewal(row)),
            "expires": Text(minute(expires_at) if expires_at else "–"),
            "store": Text(one_line("".join(stores[:1])) + more, "dim"),
        }
        return [cells[title] for title in self._titles()]

    def _bar(self, row: StatusRow) -> Text:
        halves = round(row.bar.life * 2 * self._bar_width)
        if row.bar.life > 0:  # what lives is seen
            halves = max(halves, 1)
        life = self._glyphs.full * (halves // 2) + self._glyphs.half * (halves % 2)
        bar = Text(life, _COLOURS[row.badge[1]])
        return bar.append(self._glyphs.empty * (self._bar_width - len(life)), "dim")

    def _column_widths(self, table: list[list[Text]]) -> list[int]:
        """Return how wide each column is; names and stores share what the others leave."""
        widths = [max(cell.cell_len for cell in column) for column in zip(*table, strict=True)]
        for number, least in reversed(_LEAST.items()):
            if number < len(widths):
                others = sum(widths) - widths[number] + _GAP * (len(widths) - 1)
                widths[number] = min(widths[number], max(least, self._width - others))
        return widths

    def _lay_out(self, cells: list[Text], widths: list[int]) -> list[Text]:
        """Return a row of the table; a long name has a line of its own, a long store several."""
        lines = [Text()]
        for number, (cell, width) in enumerate(zip(cells, widths, strict=True)):
            begin = sum(widths[:number]) + _GAP * number
            parts = list(cell.wrap(self._console, width, overflow="fold")) or [Text()]
            if number == _NAME and len(parts) > 1:
                lines[-1].append_text(Text(" " * _GAP)).append_text(cell)
                lines.append(Text())
                continue
            lines[-1].pad_right(begin - lines[-1].cell_len)
            lines[-1].append_text(parts[0])
            lines += [Text(" " * begin).append_text(part) for part in parts[1:]]
        for line in lines:
            line.rstrip()
        return lines

    def _notes(self, row: StatusRow) -> Iterator[Text]:
        for note in find_notes(row):
            style = _COLOURS[row.badge[1]] if not note.topic else "dim"
            yield from self._wrap(str(note), style, _INDENT)

    def _wrap(self, text: str, style: str, indent: int = 0) -> Iterator[Text]:
        lines = Text(one_line(text), style).wrap(
            self._console, self._width - indent, overflow="fold"
        )
        for line in lines:
            line.rstrip()
            yield Text(" " * indent).append_text(line)

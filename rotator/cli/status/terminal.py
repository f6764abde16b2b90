"""The picture of a fleet on a terminal: bars of remaining life, and beneath what is to be said."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.cells import cell_len, chop_cells
from rich.console import Console
from rich.text import Text

from rotator.cli.status.chain import StatusView
from rotator.cli.status.sections import Fact, Section, describe_token
from rotator.cli.status.words import describe_renewal, describe_rest, find_remarks
from rotator.clock import minute
from rotator.daemon.rows import FleetStatus, StatusRow, Tone, count_badges, describe_reload
from rotator.errors import one_line
from rotator.stores.port import shorten_url

_COLOURS = {Tone.BAD: "red", Tone.WARN: "yellow", Tone.IDLE: "magenta", Tone.GOOD: "green"}
_TITLES = ("state", "token", "life", "left", "renewal", "expires", "store")
_NAME, _STORE = _TITLES.index("token"), _TITLES.index("store")
_NARROW, _WIDE = 60, 120  # columns: below there is no bar, above are dates and stores
_LEAST = {_NAME: 12, _STORE: 24}  # columns for a name, and for a store
_BAR, _WIDE_BAR = 15, 25
_IN_THE_ROW = ("expiring", "last_day", "expired")  # these reasons are there without a sentence
_MOST_GOOD = 30  # tokens; a fleet has hundreds that need nothing
_LEAST_TEXT = 20  # columns
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
    """Paints lines that fit into the console, of what `encoding` can write.

    A word that is longer, such as a URL, is left to the terminal, so that it can be copied, unless
    it is to be cut by `fold`.
    """

    def __init__(self, console: Console, encoding: str, *, fold: bool = False) -> None:
        self._console = console
        self._fold = fold
        self._width = console.width
        self._glyphs = choose_glyphs(encoding)
        self._bar_width = _WIDE_BAR if self._width >= _WIDE else _BAR

    def paint(self, view: StatusView, room: int | None = None) -> list[Text]:
        """Return the lines of a view, `room` at most; what matters most is first."""
        sections = describe_token(view)
        if not sections:
            return self._paint_fleet(view.fleet, room)
        lines = self._paint_token(view.fleet, sections)
        if room is not None and len(lines) > room:  # the settings do not change
            changing = [section for section in sections if section.title != "settings"]
            lines = self._paint_token(view.fleet, changing)
        if room is not None and len(lines) > room:
            more = (
                f"{self._glyphs.more} {len(lines) - room + 1} more lines: make the terminal higher"
            )
            lines[room - 1 :] = self._wrap(more, "dim")
        return lines

    def _paint_fleet(self, fleet: FleetStatus, room: int | None) -> list[Text]:
        """Without `room`, leave out those tokens that need nothing beyond the first."""
        table = [[Text(title, "dim") for title in self._titles()]]
        table += [self._cells(row) for row in fleet.rows]
        widths = self._column_widths(table)
        lines = [*self._summary(fleet), Text(), *self._lay_out(table[0], widths)]
        shown = 0
        for row, cells in zip(fleet.rows, table[1:], strict=True):
            block = [*self._lay_out(cells, widths), *self._remarks(row)]
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

    def _paint_token(self, fleet: FleetStatus, sections: Sequence[Section]) -> list[Text]:
        (row,) = fleet.rows
        state, name, *_ = self._cells(row)
        bar = [self._bar(row)] if self._width >= _NARROW else []
        head = [state, name, *bar, Text(row.describe_life())]
        lines = list(Text(" " * _GAP).join(head).wrap(self._console, self._width))
        if row.complaint:
            lines += self._wrap(row.complaint, _COLOURS[row.badge[1]], _INDENT)
        lines += self._source(fleet, _INDENT)
        for section in sections:
            lines += [Text(), Text(section.title, "bold")]
            width = max(len(fact.label) for fact in section.facts)
            for fact in section.facts:
                lines += self._fact(fact, width)
        return lines

    def _fact(self, fact: Fact, width: int) -> list[Text]:
        sign = self._glyphs.signs[fact.tone] if fact.tone else ""
        style = _COLOURS[fact.tone] if fact.tone else "dim"
        label = Text(f"{sign:<{_INDENT}}{one_line(fact.label):<{width}}", style)
        begin = label.cell_len + _GAP
        texts = list(self._wrap(fact.text, style, begin))
        return [label.append_text(texts[0][label.cell_len :]), *texts[1:]]

    def _summary(self, fleet: FleetStatus) -> list[Text]:
        counts = [
            Text(f"{self._glyphs.signs[tone]} {count} {word}", _COLOURS[tone])
            for word, (tone, count) in count_badges(fleet.rows).items()
        ]
        lines = list(Text(" " * _GAP).join(counts).wrap(self._console, self._width))
        return [*lines, *self._source(fleet)]

    def _source(self, fleet: FleetStatus, indent: int = 0) -> Iterator[Text]:
        source = f"by the daemon ({fleet.phase})" if fleet.phase else "from the stores"
        as_of = f"as of {fleet.now:%Y-%m-%d %H:%M:%S} UTC, {source}"
        yield from self._wrap(as_of, "dim", indent)
        if fleet.reload_error:
            why = f"{self._glyphs.signs[Tone.WARN]} {describe_reload(fleet.reload_error)}"
            yield from self._wrap(why, _COLOURS[Tone.WARN], indent)

    def _titles(self) -> Sequence[str]:
        if self._width >= _WIDE:
            return _TITLES
        return _TITLES[: _STORE - 1] if self._width >= _NARROW else (*_TITLES[:2], "left")

    def _cells(self, row: StatusRow) -> list[Text]:
        word, tone = row.badge
        expires_at = row.report.expires_at if row.report else None
        stores = [shorten_url(each.store) for each in row.report.stores] if row.report else []
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
            lines[-1].pad_right(begin - lines[-1].cell_len)
            if number == _STORE:
                first, *rest = self._split(cell.plain, width)
                lines[-1].append(first, cell.style)
                lines += [Text(" " * begin).append(each, cell.style) for each in rest]
            else:
                lines[-1].append_text(cell)
            if number == _NAME and cell.cell_len > width:
                lines.append(Text())
        return lines

    def _remarks(self, row: StatusRow) -> Iterator[Text]:
        for remark in find_remarks(row):
            if (
                row.report
                and row.report.reason in _IN_THE_ROW
                and remark.text == row.report.message
            ):
                continue
            style = _COLOURS[row.badge[1]] if not remark.topic else "dim"
            yield from self._wrap(str(remark), style, _INDENT)

    def _wrap(self, text: str, style: str, indent: int = 0) -> Iterator[Text]:
        for line in self._split(one_line(text), max(self._width - indent, _LEAST_TEXT)):
            yield Text(" " * indent).append(line, style)

    def _split(self, text: str, width: int) -> list[str]:
        """Return a text as lines of whole words; where they are to be folded, none is longer."""
        lines = [""]
        for word in text.split(" "):
            longer = f"{lines[-1]} {word}" if lines[-1] else word
            if lines[-1] and cell_len(longer) > width:
                lines.append(word)
            else:
                lines[-1] = longer
        if self._fold:
            return [part for line in lines for part in chop_cells(line, width)]
        return lines

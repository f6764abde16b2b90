"""A fleet of any size at a bounded load: which part of it is shown, and how often that is made."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Hashable
from typing import Generic, NamedTuple, TypeVar
from urllib.parse import parse_qs, urlencode

from rotator.daemon.rows import StatusRow

ROWS = 200  # on a page: about 460 KB of HTML, 32 of them compressed
CACHE_TIME = 2.0  # seconds; whatever is asked for is made once in this time
_SHARE = 10  # what is made takes one part in so many of the time: rotations need the CPU
_MOST_ASKED = 4
_MOST_FIELDS = 20
_LONGEST_NUMBER = 6

_Made = TypeVar("_Made")


class BusyError(Exception):
    """Too many different things are asked for at once."""


class View(NamedTuple):
    """The part of a fleet to be shown: tokens with all `words`, in one of `states`, if any.

    `page` counts from 1; None is all of them.
    """

    words: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    page: int | None = None

    @classmethod
    def parse(cls, query: str) -> "View":
        """Read `q`, `state` and `page` of a URL; raises `ValueError` for too many fields."""
        fields = parse_qs(query, max_num_fields=_MOST_FIELDS)
        words = " ".join(fields.get("q", ())).lower().split()
        number = fields.get("page", [""])[0]
        is_number = number.isascii() and number.isdigit() and len(number) <= _LONGEST_NUMBER
        page = max(1, int(number)) if is_number else None
        return cls(tuple(words), tuple(fields.get("state", ())), page)

    @property
    def is_narrowed(self) -> bool:
        return bool(self.words or self.states)

    def query(self, page: int) -> str:
        """Return the query of another page of the same."""
        words = [("q", " ".join(self.words))] if self.words else []
        states = [("state", state) for state in self.states]
        return "?" + urlencode([*words, *states, ("page", page)])

    def select(self, rows: list[StatusRow]) -> list[StatusRow]:
        """Return the rows that fit, on all pages."""
        if not self.is_narrowed:
            return rows
        return [row for row in rows if self._fits(row)]

    def _fits(self, row: StatusRow) -> bool:
        if self.states and row.badge[0] not in self.states:
            return False
        if not self.words:
            return True
        stores = (store.store for store in row.report.stores) if row.report else ()
        text = "\n".join((row.name, row.badge[0], *stores, row.complaint or "")).lower()
        return all(word in text for word in self.words)


class Page(NamedTuple):
    """Some of the rows that fit, `fitting` in all; `first` is the number of the first, from 1."""

    rows: list[StatusRow]
    first: int
    fitting: int
    number: int

    @property
    def has_next(self) -> bool:
        return self.first - 1 + len(self.rows) < self.fitting


def cut_page(rows: list[StatusRow], number: int) -> Page:
    """Return a page of the rows, the last one where there are not so many."""
    number = max(1, min(number, -(-len(rows) // ROWS)))
    start = (number - 1) * ROWS
    return Page(rows[start : start + ROWS], start + 1, len(rows), number)


class Pacer(Generic[_Made]):
    """Makes what is asked for, at most a tenth of the time; thread-safe.

    The same is made once for all who ask within `shortest` seconds, or ten times what it took. Who
    asks for something else waits until the tenth is kept; while four different things are waited
    for, others are refused: `get` raises `BusyError`. The newest `kept` things are kept.
    `monotonic` returns seconds.
    """

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        shortest: float = CACHE_TIME,
        kept: int = 8,
    ) -> None:
        self._monotonic = monotonic
        self._sleep = sleep
        self._shortest = shortest
        self._kept = kept
        self._making = threading.Lock()
        self._asking = threading.Lock()
        self._asked: Counter[Hashable] = Counter()
        self._free_at = 0.0
        self._made: dict[Hashable, tuple[float, _Made]] = {}

    def get(self, key: Hashable, make: Callable[[], _Made]) -> _Made:
        """Return what `make` makes, or made before; raises `BusyError` if too much is asked for."""
        with self._asking:
            if key not in self._asked and len(self._asked) >= _MOST_ASKED:
                raise BusyError
            self._asked[key] += 1
        try:
            return self._get_in_turn(key, make)
        finally:
            with self._asking:
                self._asked[key] -= 1
                self._asked += Counter()  # which drops what nobody asks for

    def _get_in_turn(self, key: Hashable, make: Callable[[], _Made]) -> _Made:
        with self._making:
            now = self._monotonic()
            until, made = self._made.get(key, (now, None))
            if made is not None and now < until:
                return made
            if now < self._free_at:
                self._sleep(self._free_at - now)
            began = time.thread_time()
            made = make()
            span = _SHARE * (time.thread_time() - began)
            start = max(now, self._free_at)
            self._free_at = start + span
            self._made.pop(key, None)
            while len(self._made) >= self._kept:
                del self._made[next(iter(self._made))]
            self._made[key] = start + max(self._shortest, span), made
            return made

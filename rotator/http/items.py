"""A long JSON array, read item by item.

All of its items together take up to 25 times the memory of the text, and what they are made into
much less. So each is parsed, made into something, and dropped before the next one is read.
"""

import codecs
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import requests
import urllib3

from rotator.http.failures import AnswerTooLargeError

_CHUNK = 1 << 16  # bytes
_LONGEST_ITEM = 1 << 20  # characters
_BLANKS = re.compile(r"[ \t\n\r]*")
_ENDED = re.compile(r"[ \t\n\r]*[],]")
_OTHERS = '{"-0123456789tfn'  # how any other JSON than an array begins
_DECODER = json.JSONDecoder()
_Item = TypeVar("_Item")


class NotAnArrayError(ValueError):
    """The JSON is something else than an array."""


def read_json_items(
    response: requests.Response, largest: int, make: Callable[[Any], _Item]
) -> list[_Item]:
    """Return what `make` makes of each item of a `stream=True` response's array.

    Raises `requests.RequestException` like `read_json`, `NotAnArrayError`, and what `make` raises.
    """
    items = iter(_Items(_read_text(response, largest)))
    made: list[_Item] = []
    while True:
        try:
            item = next(items, items)
        except NotAnArrayError:
            raise
        except (ValueError, RecursionError):
            raise requests.exceptions.InvalidJSONError(request=response.request) from None
        if item is items:
            return made
        made.append(make(item))


def _read_text(response: requests.Response, largest: int) -> Iterator[str]:
    """Yield the body in pieces; raises `UnicodeDecodeError` where it is no UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")("surrogatepass")
    size = 0
    try:
        while chunk := response.raw.read1(_CHUNK, decode_content=True):
            size += len(chunk)
            if size > largest:
                raise AnswerTooLargeError(request=response.request)
            yield decoder.decode(chunk)
    except urllib3.exceptions.HTTPError as error:
        raise requests.ConnectionError(error, request=response.request) from None
    yield decoder.decode(b"", final=True)


class _Items:
    """The items of an array that comes in pieces; raises `ValueError` for what is no JSON."""

    def __init__(self, pieces: Iterator[str]) -> None:
        self._pieces = pieces
        self._text = ""
        self._at = 0

    def __iter__(self) -> Iterator[Any]:
        sign = self._next_sign()
        if sign != "[":
            raise NotAnArrayError if sign and sign in _OTHERS else ValueError("no JSON")
        self._at += 1
        if self._next_sign() != "]":
            yield self._next_item()
            while self._next_sign() == ",":
                self._at += 1
                yield self._next_item()
        if self._next_sign() != "]":
            raise ValueError("no end of the array")
        self._at += 1
        if self._next_sign():
            raise ValueError("more than an array")

    def _next_sign(self) -> str:
        """Return the next character that is not blank, without taking it; empty at the end."""
        while True:
            if blanks := _BLANKS.match(self._text, self._at):
                self._at = blanks.end()
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._read_on():
                return ""

    def _next_item(self) -> Any:  # noqa: ANN401 - JSON that nobody has checked yet
        self._next_sign()
        while True:
            try:
                item, end = _DECODER.raw_decode(self._text, self._at)
            except ValueError:  # it is cut off here, or no JSON
                if not self._read_on():
                    raise
                continue
            if _ENDED.match(self._text, end) or not self._read_on():  # a number may go on
                self._at = end
                return item

    def _read_on(self) -> bool:
        """Read as much again as is not taken yet; return False at the end.

        Otherwise a long item would be parsed again with each piece of it.
        """
        pieces, size = [self._text[self._at :]], 0
        if len(pieces[0]) > _LONGEST_ITEM:
            raise AnswerTooLargeError
        while size <= len(pieces[0]) and (piece := next(self._pieces, None)) is not None:
            pieces.append(piece)
            size += len(piece)
        if size:
            self._text, self._at = "".join(pieces), 0
        return size > 0

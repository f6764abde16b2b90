"""Markdown for people, which can also be read as it stands, at 80 columns."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from textwrap import TextWrapper

from rotator.clock import minute, rfc3339
from rotator.rotation.listing import TokenRow

_WIDTH = 80


def paragraph(text: str) -> list[str]:
    """Return the lines of a paragraph; ids and URLs are not broken."""
    return _wrap(text, "", "")


@lru_cache(1 << 16)  # a report is written again and again, and wrapping is slow
def item(text: str, mark: str = "- ") -> list[str]:
    """Return the lines of an item of a list."""
    return _wrap(text, mark, " " * len(mark))


def numbered(texts: Iterable[str]) -> Iterator[str]:
    """Yield the lines of a numbered list."""
    for number, text in enumerate(texts, 1):
        yield from item(text, f"{number}. ")


def second(moment: datetime) -> str:
    """Return a moment for people to read: `2026-11-23 09:12:33 UTC`."""
    return rfc3339(moment).replace("T", " ").replace("Z", " UTC")


def describe_listed(row: TokenRow) -> str:
    """Say what the API's list tells of a token."""
    end = f"expires {minute(row.expires_at)}" if row.expires_at else "never expires"
    scope = f"scope `{row.scope.replace('`', chr(39))}`" if row.scope else "no scope"
    return f"made {minute(row.created_at)}, {row.describe_last_use()}, {end}, {scope}"


def _wrap(text: str, first: str, other: str) -> list[str]:
    wrapper = TextWrapper(
        _WIDTH,
        initial_indent=first,
        subsequent_indent=other,
        break_long_words=False,
        break_on_hyphens=False,
    )
    # What comes from outside, such as a scope, is no HTML.
    return wrapper.wrap(text.replace("<", "&lt;"))

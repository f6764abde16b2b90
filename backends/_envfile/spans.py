"""Where, inside the text that python-dotenv takes for one binding, its parts begin and end."""

import re

_LEAD = re.compile(r"\s*")
_COMMENT = re.compile(r"#[^\r\n]*")
_KEY = re.compile(r"\s*(?:export[^\S\r\n]+)?(?:'[^']+'|[^=\#\s]+)")
_EQUALS = re.compile(r"[^\S\r\n]*=")
_SPACE = re.compile(r"[^\S\r\n]*")
_QUOTED = re.compile(r"""'((?:\\.|[^'\\])*)'|"((?:\\.|[^"\\])*)\"""", re.DOTALL)
_REST = re.compile(r"[^\r\n]*")
_INLINE_COMMENT = re.compile(r"\s+#")

Span = tuple[int, int]


def line_start(original: str) -> int:
    """Return where the binding's own line starts, below the blank lines that belong to it."""
    lead = _matched(_LEAD, original, 0)
    return 1 + max(original.rfind("\n", 0, lead), original.rfind("\r", 0, lead))


def comment_span(original: str) -> Span:
    """Return the span of a comment from its `#` to the end of its line."""
    start = _matched(_LEAD, original, 0)
    return start, _matched(_COMMENT, original, start)


def value_span(original: str) -> Span:
    """Return the span of the value inside its quotes; right behind the key where there is no `=`.

    An empty unquoted value is right behind the `=`, before any space: there sh reads it, too.
    """
    key = _matched(_KEY, original, 0)
    equals = _matched(_EQUALS, original, key)
    if equals == key:
        return key, key
    start = _matched(_SPACE, original, equals)
    if quoted := _QUOTED.match(original, start):
        return quoted.span(quoted.lastindex or 0)
    rest = original[start : _matched(_REST, original, start)]
    if start > equals and rest.startswith("#"):
        return equals, equals
    comment = _INLINE_COMMENT.search(rest)
    value = rest[: comment.start() if comment else None].rstrip()
    return (start, start + len(value)) if value else (equals, equals)


def _matched(pattern: re.Pattern[str], text: str, start: int) -> int:
    match = pattern.match(text, start)
    return match.end() if match else start

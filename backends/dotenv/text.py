"""Where, inside the text that python-dotenv takes for one binding, its parts begin and end."""

import io
import re
from dataclasses import dataclass

from dotenv.parser import Binding, parse_stream

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


_BOM = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_UNSAFE = "the line cannot be changed safely without changing others: write it as NAME=value"
_NOTE = "# rotator:"
_MARK = f"{_NOTE} v="  # without a version it is somebody's own comment


class UnsafeEditError(Exception):
    """The file is written in a way in which this change cannot be made alone."""


@dataclass(frozen=True, slots=True)
class Variable:
    """What a file says about one variable; an empty value counts as none."""

    value: str | None
    journal: str


class Document:
    """A file as python-dotenv reads it, and where in it one variable stands.

    Raises `UnsafeEditError` when the only line with that name cannot be parsed: were it called
    absent, a second line would come below the broken one.
    """

    def __init__(self, content: bytes, name: str) -> None:
        self._content = content
        self._name = name
        self._bom, self._text = _decoded(content)
        self._bindings = list(parse_stream(io.StringIO(self._text, newline="")))
        places = [at for at, binding in enumerate(self._bindings) if binding.key == name]
        self._found = bool(places)
        self._is_alone = len(places) == 1
        self._at = places[-1] if places else self._end()
        self._first_note = self._at
        while self._first_note and _is_note(self._bindings[self._first_note - 1]):
            self._first_note -= 1
        if not places:
            self._refuse_broken_line()

    @property
    def variable(self) -> Variable:
        """The value that counts (the last one), and the journal directly above it."""
        if not self._found:
            return Variable(None, "")
        journal = ""
        if self._first_note < self._at:
            journal = self._bindings[self._at - 1].original.string.strip().removeprefix(_NOTE)
        return Variable(self._bindings[self._at].value or None, journal.strip())

    def with_variable(self, wanted: Variable) -> bytes:
        """Return the content with only this variable's value and journal line changed.

        A value that is wanted as it is stays byte for byte, however it is written. A journal of a
        variable that is absent stands above an empty `NAME=`, which goes with it.

        Raises `UnsafeEditError` unless python-dotenv reads the result exactly as intended.
        """
        if wanted == self.variable:
            return self._content
        changed = self._bom + self._changed(wanted).encode("utf-8", "surrogateescape")
        after = Document(changed, self._name)
        if after.variable != wanted or after._others != self._others:
            raise UnsafeEditError(_UNSAFE)
        return changed

    def _end(self) -> int:
        """Return the place behind the last binding; python-dotenv counts blank lines as one."""
        last = self._bindings[-1].original.string if self._bindings else "-"
        return len(self._bindings) - (not last.strip())

    def _refuse_broken_line(self) -> None:
        ours = re.compile(rf"\s*(export\s+)?{re.escape(self._name)}\s*=")
        for binding in self._bindings:
            if binding.error and ours.match(binding.original.string):
                raise UnsafeEditError(
                    f"line {binding.original.line} cannot be parsed: close its quotes"
                )

    @property
    def _others(self) -> list[tuple[str | None, str | None, bool, str]]:
        """Everything but the variable and its journal; blank lines move between bindings."""
        return [
            (binding.key, binding.value, binding.error, binding.original.string.strip())
            for at, binding in enumerate(self._bindings)
            if not self._first_note <= at <= self._at and binding.original.string.strip()
        ]

    def _changed(self, wanted: Variable) -> str:
        newline, value = _newline(self._text), wanted.value or ""
        note = f"{_NOTE} {wanted.journal}" if wanted.journal else ""
        new_note = f"{note}{newline}" if note and self._first_note == self._at else ""
        if not self._found:
            return self._appended(new_note + f"{self._name}={value}", note, newline)
        if not value and not note and self._is_placeholder(newline):
            return self._without_placeholder(newline)
        start = self._offset(self._at)
        original = self._bindings[self._at].original.string
        line = line_start(original)
        assignment = original[line:]
        if wanted.value != self.variable.value:
            left, right = value_span(original)
            equals = "" if "=" in original[:left] else "="
            assignment = f"{original[line:left]}{equals}{value}{original[right:]}"
        return (
            self._with_note(note, self._text[:start])
            + f"{original[:line]}{new_note}{assignment}"
            + self._text[start + len(original) :]
        )

    def _is_placeholder(self, newline: str) -> bool:
        """Say whether this is, to the byte, what a journal of an absent variable left behind."""
        below = "".join(binding.original.string for binding in self._bindings[self._at :])
        empty = f"{self._name}="
        return self._is_alone and self._first_note < self._at and below in (empty, empty + newline)

    def _without_placeholder(self, newline: str) -> str:
        """Undo `_appended`, which closes an open last line and leaves its own line open then."""
        head = self._with_note("", self._text[: self._offset(self._at)])
        return head if self._text.endswith(newline) else head.removesuffix(newline)

    def _appended(self, lines: str, note: str, newline: str) -> str:
        head = self._with_note(note, self._text)
        if head and not head.endswith(newline[-1]):
            head += newline
        was_closed = not self._text or self._text.endswith(newline[-1])
        return head + lines + (newline if was_closed else "")

    def _with_note(self, note: str, head: str) -> str:
        """Return `head`, the text above the variable, with the note in it brought up to date.

        One note is replaced; when none is wanted, all go, or the one above would take its place.
        """
        for at in range(self._at - 1, self._first_note - 1, -1):
            start = self._offset(at)
            original = self._bindings[at].original.string
            if note:
                left, right = comment_span(original)
                return f"{head[: start + left]}{note}{head[start + right :]}"
            head = head[: start + line_start(original)] + head[start + len(original) :]
        return head

    def _offset(self, at: int) -> int:
        return sum(len(binding.original.string) for binding in self._bindings[:at])


def _is_note(binding: Binding) -> bool:
    return (
        binding.key is None
        and not binding.error
        and binding.original.string.lstrip().startswith(_MARK)
    )


def _decoded(content: bytes) -> tuple[bytes, str]:
    if content.startswith(_UTF_16):
        raise UnsafeEditError("it is UTF-16, which no reader of .env files takes: save it as UTF-8")
    bom = _BOM if content.startswith(_BOM) else b""
    if content.startswith(2 * _BOM):
        raise UnsafeEditError("it starts with two byte order marks: remove one, or both")
    return bom, content.removeprefix(bom).decode("utf-8", "surrogateescape")


def _newline(text: str) -> str:
    """Return the newline that the file uses: the commoner one where it mixes them."""
    lines = text.count("\n")
    if not lines and "\r" in text:
        return "\r"
    return "\r\n" if 2 * text.count("\r\n") > lines else "\n"

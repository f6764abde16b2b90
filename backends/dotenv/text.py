"""The text of a `.env` file, as python-dotenv reads it, with one variable changed."""

import io
import re
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from dotenv.parser import Binding, parse_stream

from backends.dotenv.gate import Gate, UnsafeEditError, has_too_many_lines, refuse_content

_BOM = b"\xef\xbb\xbf"
_NOTE = "# rotator:"
_NOTE_START = f"{_NOTE} v="  # without a version it is somebody's own comment
_NOTE_WORD = b"rotator:"
# At the end of a note: the empty line below it came with it, and is to go with it.
_ADDED = " added"
# Parts of what python-dotenv calls a binding, which begins with the blank lines above it.
_BLANK_LINES = re.compile(r"(?:\s*[\r\n])?")
_COMMENT = re.compile(r"#[^\r\n]*")
_KEY = re.compile(r"\s*(?:export[^\S\r\n]+)?(?:'[^']+'|[^=\#\s]+)")
_EQUALS = re.compile(r"[^\S\r\n]*=")
_SPACE = re.compile(r"[^\S\r\n]*")
_QUOTED = re.compile(r"""'((?:\\.|[^'\\])*)'|"((?:\\.|[^"\\])*)\"""", re.DOTALL)
_REST = re.compile(r"[^\r\n]*")
_ANY_NEWLINE = re.compile(r"\r\n|\r")
_INLINE_COMMENT = re.compile(r"\s+#")


# Lines that python-dotenv and shells read alike, and of which no rule of the gate speaks.
_PLAIN = re.compile(
    rb"(?!\n*(?:Salted__|U2FsdGVkX1))"
    rb"(?:(?:#[\x20-\x5b\x5d-\x7e\x80-\xff]{0,200}"
    rb"|(?:export )?(?!sops_)[A-Za-z_][A-Za-z0-9_]{0,63}="
    rb"(?:[A-Za-z0-9_./:@%+,=?^~\[\]-]{0,8192}"
    rb"|\"[A-Za-z0-9_./:@%+,=?^~\[\] -]{0,200}\"|'[A-Za-z0-9_./:@%+,=?^~\[\] -]{0,200}'))?"
    rb"(?:\n|\Z))*+"
)


class Variable(NamedTuple):
    """What a file says about one variable; an empty value counts as none."""

    value: str | None
    journal: str


def read_plain(content: bytes, name: str) -> Variable | None:
    """Return what a plain file says about a variable that it names once, in a line with a token.

    None means nothing but that `EnvText` has to look, which takes ten times as long and would find
    the same.
    """
    if content.count(name.encode()) != 1 or not _PLAIN.fullmatch(content):
        return None
    if has_too_many_lines(content):
        return None
    found = _token_line(name).search(content)
    if found is None or content.count(_NOTE_WORD) != (found["journal"] is not None):
        return None
    journal = (found["journal"] or b"").decode().strip()
    return None if journal.endswith(_ADDED) else Variable(found["token"].decode(), journal)


@lru_cache(maxsize=16)
def _token_line(name: str) -> re.Pattern[bytes]:
    token = rb"(?P<quote>[\"']?)(?P<token>eyJ[\w-]*\.[\w-]+\.[\w-]+)(?P=quote)$"
    note = rb"^(?:# rotator: (?P<journal>v=[\x20-\x7e]*)\n)?"
    return re.compile(note + rb"(?:export )?" + name.encode() + b"=" + token, re.MULTILINE)


class EnvText:
    """The content of a file, and where in it one variable stands.

    `variable` is the value that counts (the last one), and the journal directly above it. Raises
    `UnsafeEditError` when the file or the line is not understood; see `backends.dotenv.gate`.
    """

    def __init__(self, content: bytes, name: str) -> None:
        self.content = content
        self._name = name
        self._bom, self._text = _decode(content)
        self._bindings = list(parse_stream(io.StringIO(self._text, newline="")))
        self._originals = [binding.original.string for binding in self._bindings]
        places = [at for at, binding in enumerate(self._bindings) if binding.key == name]
        self._count = len(places)
        self._at = places[-1] if places else self._end_of_lines()
        self._first_note = self._at
        while self._first_note and _is_note(self._bindings[self._first_note - 1]):
            self._first_note -= 1
        self._raw, after = _raw_value(self._originals[self._at]) if places else ("", "")
        self._gate = Gate(self._bindings, name)
        last = places[-1] if places else None
        self._gate.refuse_unclear(last, self._text_to_continue(), self._raw, after)
        self._is_added = not places
        if not places:
            self.variable = Variable(None, "")
            return
        note = self._originals[self._at - 1] if self._first_note < self._at else ""
        journal = note.strip().removeprefix(_NOTE).strip()
        self._is_added = journal.endswith(_ADDED)
        journal = journal.removesuffix(_ADDED)
        value = self._bindings[self._at].value
        # python-dotenv reads files with all newlines made one.
        self.variable = Variable(_ANY_NEWLINE.sub("\n", value or "") or None, journal)

    def _end_of_lines(self) -> int:
        """Return the place for a new line: above blank ones, which python-dotenv counts as one."""
        if self._originals and not self._originals[-1].strip():
            return len(self._originals) - 1
        return len(self._originals)

    def _text_to_continue(self) -> str:
        """Return the text above the variable and its notes, unless it ends with a comment."""
        at = self._first_note
        if not at or _is_comment(self._bindings[at - 1]):
            return ""
        above = "".join(self._originals[:at])
        if at < len(self._originals):
            above += self._originals[at][: _end(_BLANK_LINES, self._originals[at], 0)]
        return above

    def with_variable(self, wanted: Variable) -> "EnvText":
        """Return the text with only this variable's value and journal line changed.

        A value that is wanted as it is stays byte for byte, however it is written. A journal of a
        variable that is absent stands above an empty `NAME=`, which goes with it.

        Raises `UnsafeEditError` unless python-dotenv reads the result exactly as intended.
        """
        if wanted == self.variable:
            return self
        if self._count and wanted.value != self.variable.value:
            self._gate.refuse_rewrite(self._at, self._raw)
        after = EnvText(self._encode(self._text_with(wanted)), self._name)
        if after.variable != wanted or after._others != self._others:
            raise UnsafeEditError(
                "the line cannot be changed safely without changing others: write it as NAME=value"
            )
        return after

    def without_variable(self) -> "EnvText":
        """Return the text as it was before the variable was added, at the end of the file.

        Raises `UnsafeEditError` where several lines set it, as one of them is somebody else's.
        """
        if not self._count:
            return self
        if self._count > 1:
            raise UnsafeEditError(f"{self._count} lines set {self._name}: delete them by hand")
        newline, original = _newline(self._text), self._originals[self._at]
        above = self._above("") + original[: _end(_BLANK_LINES, original, 0)]
        below = "".join(self._originals[self._at + 1 :])
        if not below and not self._text.endswith(newline[-1]):
            above = above.removesuffix(newline)
        after = EnvText(self._encode(above + below), self._name)
        if after.variable != Variable(None, "") or after._others != self._others:
            raise UnsafeEditError(f"the line of {self._name} cannot be removed alone: delete it")
        return after

    def _encode(self, text: str) -> bytes:
        return self._bom + text.encode("utf-8", "surrogateescape")

    def has_traces_of(self, name: str) -> bool:
        """Tell whether another variable has a value, or a journal."""
        for above, binding in pairwise([None, *self._bindings]):
            if binding and binding.key == name and (binding.value or (above and _is_note(above))):
                return True
        return False

    @property
    def _others(self) -> list[tuple[str | None, str | None, bool, str]]:
        """Everything but the variable and its journal; blank lines move between bindings."""
        return [
            (binding.key, binding.value, binding.error, original)
            for at, binding in enumerate(self._bindings)
            if not self._first_note <= at <= self._at and (original := self._originals[at].strip())
        ]

    def _text_with(self, wanted: Variable) -> str:
        newline, value = _newline(self._text), wanted.value or ""
        mark = _ADDED if self._is_added and not value else ""
        note = f"{_NOTE} {wanted.journal}{mark}" if wanted.journal else ""
        above, below = self._above(note), "".join(self._originals[self._at :])
        new_note = f"{note}{newline}" if note and self._first_note == self._at else ""
        if not self._count:
            return self._text_with_line(above + below, f"{new_note}{self._name}={value}")
        if not value and not note and self._is_placeholder(below):
            return above if self._text.endswith(newline) else above.removesuffix(newline)
        original = self._originals[self._at]
        line = _end(_BLANK_LINES, original, 0)
        assignment = original[line:]
        if wanted.value != self.variable.value:
            left, right = _value_span(original)
            equals = "" if "=" in original[:left] else "="
            assignment = f"{original[line:left]}{equals}{value}{original[right:]}"
        return f"{above}{original[:line]}{new_note}{assignment}{below[len(original) :]}"

    def _text_with_line(self, before: str, line: str) -> str:
        """Return the text with a new last line, closed by a newline if the last one was."""
        newline = _newline(self._text)
        is_closed = not self._text or self._text.endswith(newline[-1])
        if before and not before.endswith(newline[-1]):
            before += newline
        return f"{before}{line}{newline if is_closed else ''}"

    def _is_placeholder(self, below: str) -> bool:
        """Tell whether the line only carried the journal of an absent variable, and is the last.

        What it added is undone to the byte.
        """
        is_bare = below.removesuffix(_newline(self._text)) == f"{self._name}="
        return self._count == 1 and self._is_added and is_bare

    def _above(self, note: str) -> str:
        """Return the text above the variable, with the note in it brought up to date.

        One note is replaced; when none is wanted, all go, or the one above would take its place.
        """
        parts = self._originals[: self._at]
        for at in range(self._first_note, self._at):
            if not note:
                parts[at] = parts[at][: _end(_BLANK_LINES, parts[at], 0)]
            elif at == self._at - 1:
                parts[at] = _COMMENT.sub(lambda _: note, parts[at], count=1)
        return "".join(parts)


def _value_span(original: str) -> tuple[int, int]:
    """Return where the value is inside its quotes; right behind the key where there is no `=`.

    An empty unquoted value is right behind the `=`, before any space: there sh reads it, too.
    """
    key = _end(_KEY, original, 0)
    equals = _end(_EQUALS, original, key)
    if equals == key:
        return key, key
    start = _end(_SPACE, original, equals)
    if quoted := _QUOTED.match(original, start):
        return quoted.span(quoted.lastindex or 0)
    rest = original[start : _end(_REST, original, start)]
    if start > equals and rest.startswith("#"):
        return equals, equals
    comment = _INLINE_COMMENT.search(rest)
    value = rest[: comment.start() if comment else None].rstrip()
    return (start, start + len(value)) if value else (equals, equals)


def _raw_value(original: str) -> tuple[str, str]:
    """Return the value with its quotes, and what follows it."""
    start = _end(_SPACE, original, _end(_EQUALS, original, _end(_KEY, original, 0)))
    if quoted := _QUOTED.match(original, start):
        return quoted[0], original[quoted.end() :]
    left, right = _value_span(original)
    return original[left:right], original[right:]


def _end(pattern: re.Pattern[str], text: str, start: int) -> int:
    match = pattern.match(text, start)
    return match.end() if match else start


def _is_comment(binding: Binding) -> bool:
    is_comment = binding.key is None and not binding.error
    return is_comment and binding.original.string.lstrip().startswith("#")


def _is_note(binding: Binding) -> bool:
    return _is_comment(binding) and binding.original.string.lstrip().startswith(_NOTE_START)


def _decode(content: bytes) -> tuple[bytes, str]:
    refuse_content(content)
    bom = _BOM if content.startswith(_BOM) else b""
    return bom, content.removeprefix(bom).decode("utf-8", "surrogateescape")


def _newline(text: str) -> str:
    """Return the newline that the file uses: the commoner one where it mixes them."""
    lines = text.count("\n")
    if not lines and "\r" in text:
        return "\r"
    return "\r\n" if 2 * text.count("\r\n") > lines else "\n"

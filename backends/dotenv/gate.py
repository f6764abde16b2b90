"""The gate before the first change: a file and a line that are not understood are refused.

Two kinds of programs read `.env` files: those that parse them, as python-dotenv does, and shells.
Where they would find different tokens, where the token lies behind an expression or a cipher, or
where the file is none that holds variables, no new value can be put in the right place. Such a file
is refused, with the line and what to do, and already when it is read: a look tells it long before a
token is due.
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from dotenv.parser import Binding

from rotator.tokens import is_ciphertext, is_reference

_LONGEST_LINE = 64 << 10  # bytes; python-dotenv takes quadratic time in blanks
_LONGEST_GAP = 200  # characters
MOST_LINES = 20_000  # which take python-dotenv a quarter of a second, some ten times in a rotation
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_BOM = b"\xef\xbb\xbf"
# How a file begins that as a whole is something else.
_BEGINNINGS = {
    b"$ANSIBLE_VAULT;": "encrypted with Ansible Vault",
    b"\0GITCRYPT\0": "encrypted with git-crypt",
    b"age-encryption.org/": "encrypted with age",
    b"-----BEGIN AGE ENCRYPTED": "encrypted with age",
    b"-----BEGIN PGP MESSAGE": "encrypted with PGP",
    b"Salted__": "encrypted with OpenSSL",
    b"U2FsdGVkX1": "encrypted with OpenSSL",
    b"-----BEGIN ": "an encrypted message, a key or a certificate",
    b"{": "JSON",
}
# Old and new format of the packets for a public key's and a password's session key: RFC 9580, 4.2.
_PGP_PACKETS = (0x84, 0x85, 0x86, 0x8C, 0x8D, 0xC1, 0xC3)
# The patterns are compiled where they are used: few files need any, and `check` is to start fast.
_ENCODED = ("ZXlK",)  # base64 of how every token begins
_LIKE_LITERALS = (*_ENCODED, "gAAAAAB", "U2FsdGVkX1", "AQICAH", "CiQA", "eyJpdiI6")
# The values of a file that dotenvx or SOPS has encrypted.
_ENCRYPTED_VALUE = r"encrypted:|ENC\[\w+,"
# What no reader takes for anything else than itself.
_LITERAL = r"(?:[A-Za-z0-9_-]+\.){0,2}[A-Za-z0-9_-]*"
_TOKEN_AND_MORE = r"(?:eyJ[\w-]+\.[\w-]+\.[\w-]+)(?:\s+[^\s#]|[;&|<>])"  # noqa: S105 - its form
# python-dotenv expands this whatever quotes are around it.
_EXPANDED_BY_DOTENV = r"\$\{[^}]*\}"
# A `$` inside a word may belong to a password that is only read.
_EXPRESSION = r"\$\{[^}]*\}|\$\([^)]*\)|`[^`]+`|(?:\A|(?<=[\s.:/-]))\$[A-Z_][A-Z0-9_]+(?![a-z])"
_ANY_EXPRESSION = r"\$[\w{(@*#?!$-]|`|\A~"
_REFERENCE = r"\$(?:(\w+)|\{(\w+)(?::?[-?][^}]*)?\})"
_ENDS_FOR_SH = r"[;&|]|\s\w+\+?="
_NAME = r"(?!eyJ)[A-Za-z_][A-Za-z0-9_.]{0,63}"
_ASSIGNED = r"'?[\w./-]{1,100}'?"
_BROKEN_ASSIGNMENT = rf"\s*(?:export\s+)?{_NAME}[^\S\r\n]*="
_EMBRACED = (
    r"\s*(?:if|then|else|elif|fi|for|while|until|do|done|case|esac|select|function|return|exit"
    r"|\{|\}|\w+\s*\(\s*\))(?![\w.=-])"
)
_CONFLICT = r"\s*(?:<{7}|>{7})(?: |\Z)"
_COMMENT = r"(?:\A|(?<=\s))#[^\r\n]*"
_CONTINUED = r"\\(?:\r\n|\n|\r)?\Z"
_NEWLINE = r"\r\n|\n|\r"


class UnsafeEditError(Exception):
    """The file is written in a way in which this change cannot be made alone."""


def refuse_content(content: bytes) -> None:
    """Refuse a file that is no text of variables, or one that takes too long to parse."""
    start = content.removeprefix(_BOM).lstrip()
    for beginning, what in _BEGINNINGS.items():
        if start.startswith(beginning):
            raise _foreign(what)
    if content.startswith(_UTF_16):
        raise UnsafeEditError("it is UTF-16, which no reader of .env files takes: save it as UTF-8")
    if content.startswith(2 * _BOM):
        raise UnsafeEditError("it starts with two byte order marks: remove one, or both")
    if content and content[0] in _PGP_PACKETS and not _is_utf_8(content):
        raise _foreign("encrypted with PGP")
    at = content.find(b"\0")
    if at >= 0:
        line = len(re.findall(_NEWLINE, content[:at].decode("latin-1"))) + 1
        raise UnsafeEditError(
            f"line {line} holds NUL bytes, so the file is damaged or no text: restore it"
        )
    _refuse_long_lines(content)


def has_too_many_lines(content: bytes) -> bool:
    """Tell whether a rotation would take minutes to read the file again and again."""
    return max(map(content.count, (b"\n", b"\r"))) > MOST_LINES


def _refuse_long_lines(content: bytes) -> None:
    if has_too_many_lines(content):
        raise UnsafeEditError(
            f"it has more than {MOST_LINES} lines, as no .env file has: name another file"
        )
    for line, text in enumerate(content.splitlines(), 1):
        if len(text) > _LONGEST_LINE:
            raise UnsafeEditError(f"line {line} is longer than 64 KiB: shorten it")
        if len(text) > _LONGEST_GAP:
            gaps = re.findall(r"\s+", text.decode("utf-8", "surrogateescape"))
            if max(map(len, gaps), default=0) > _LONGEST_GAP:
                raise UnsafeEditError(f"line {line} has more than 200 blanks in a row: remove them")


def _foreign(what: str) -> UnsafeEditError:
    return UnsafeEditError(
        f"it is {what}, and no .env file: nothing is added to it; decrypt it or name another file"
        if what.startswith(("encrypted", "an encrypted"))
        else f"it is {what}, and no .env file: nothing is added to it; name another file"
    )


def _is_utf_8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


class Gate(NamedTuple):
    """Looks at the parsed lines of a file, `bindings`, for all that concerns one variable."""

    bindings: Sequence[Binding]
    name: str

    @property
    def _mention(self) -> str:
        """The name as a word of its own, and not where it is only used, as in $NAME or ${NAME}."""
        return rf"(?<![\w.$-])(?<!\$\{{){re.escape(self.name)}(?![\w.-])"

    @property
    def _assigned(self) -> str:
        """An assignment after other assignments, or after the end of a command."""
        name = re.escape(self.name)
        return (
            rf"\s*(?:export\s+)?(?:[^\s;&|=]*=[^\s;&|]*\s+)+{name}\+?="
            rf"|(?:;|&&|\|\|)\s*(?:export\s+)?{name}(?![\w.-])"
        )

    def refuse_unclear(self, at: int | None, above: str, raw: str, after: str) -> None:
        """Refuse what makes it unclear where the variable is, or what its value is.

        `at` is its last line, None where it is absent. `above` is the text that could go on in that
        line. `raw` is the value with its quotes, and `after` the rest of its line.
        """
        self._refuse_lines(at)
        _refuse_continued(above)
        if at is not None:
            self._refuse_value(at, raw, after)

    def _refuse_lines(self, at: int | None) -> None:
        self._refuse_foreign_lines()
        if at is None:
            self._refuse_mentions(self.bindings)
            self._refuse_strange_lines()
            return
        self._refuse_mentions(self.bindings[at + 1 :])
        for binding in self.bindings[:at]:
            if binding.error and re.search(r"\breadonly\b", binding.original.string):
                self._refuse_mentions([binding])
        last = self.bindings[at]
        set_above = [b for b in self.bindings[:at] if b.key == self.name and b.value]
        if last.value is None and set_above:
            line, above = line_of(last), line_of(set_above[-1])
            raise UnsafeEditError(
                f"line {line} names {self.name} again without a value, so that python-dotenv reads"
                f" none, though line {above} sets it: delete line {line}, and begin line {above}"
                " with export"
            )

    def _refuse_value(self, at: int, raw: str, after: str) -> None:
        """Refuse a value that is no literal.

        A password may be kept here, too, and is only read: what only a shell would read otherwise
        is left to `refuse_rewrite`.
        """
        binding = self.bindings[at]
        value, quote = binding.value or "", raw[:1] if raw[:1] in "\"'" else ""
        is_plain = re.fullmatch(_LITERAL, value) and not value.startswith(_LIKE_LITERALS)
        if is_plain and not after.startswith("#"):
            return
        line = line_of(binding)
        is_literal = quote == "'"
        expression = _EXPANDED_BY_DOTENV if is_literal else _EXPRESSION
        is_encoded = value.startswith(_ENCODED)
        if is_encoded or is_ciphertext(value):
            what = "encoded with base64" if is_encoded else "encrypted"
            raise UnsafeEditError(
                f"line {line}: the value of {self.name} is {what}, and a token in plain text"
                " must not take its place: decrypt the file, or keep the token in another one"
            )
        if re.search(expression, value) or (not is_literal and self._refers_to_another(value)):
            raise self._is_expression(line, value)
        if is_reference(value):
            raise UnsafeEditError(
                f"line {line}: the value of {self.name} is a reference, which another program"
                " replaces: rotate what it names, or write the token itself there"
            )
        if quote:
            if after.startswith("#"):
                raise self._goes_on(line)
            return
        words = re.search(self._mention, value) or re.search(r"(?:\s|[;&|])export\b", value)
        if re.match(_TOKEN_AND_MORE, value) or (words and re.search(_ENDS_FOR_SH, value)):
            raise self._goes_on(line)

    def refuse_rewrite(self, at: int, raw: str) -> None:
        """Refuse to put a new value in the place of one that a shell reads in another way."""
        binding = self.bindings[at]
        value = binding.value or ""
        if raw[:1] != "'" and re.search(_ANY_EXPRESSION, value):
            raise self._is_expression(line_of(binding), value)
        if raw[:1] not in ("'", '"') and (re.search(_ENDS_FOR_SH, value) or value.endswith("\\")):
            raise self._goes_on(line_of(binding))

    def _refers_to_another(self, value: str) -> bool:
        names = set(re.findall(r"\$(\w+)", value))
        return any(binding.key in names for binding in self.bindings)

    def _is_expression(self, line: int, value: str) -> UnsafeEditError:
        # Only the name of a variable of this file is told: anything else may be a secret.
        found = re.fullmatch(_REFERENCE, value)
        name = (found[1] or found[2]) if found else None
        if any(binding.key == name and name != self.name for binding in self.bindings):
            return UnsafeEditError(
                f"line {line}: {self.name} refers to ${name}: name that variable, #{name}, or"
                " write the token itself there"
            )
        return UnsafeEditError(
            f"line {line}: the value of {self.name} is an expression with $ or `, which its"
            " readers expand: rotate what it refers to, or write the token itself there"
        )

    def _goes_on(self, line: int) -> UnsafeEditError:
        return UnsafeEditError(
            f"line {line} goes on behind the value of {self.name}, which sh and python-dotenv read"
            f" differently: write `export {self.name}=value` on a line of its own"
        )

    def _refuse_foreign_lines(self) -> None:
        for binding in self.bindings:
            key, text = binding.key or "", binding.original.string
            if key.startswith("sops_"):
                raise UnsafeEditError(
                    f"line {line_of(binding)}: the file is encrypted with SOPS, which refuses a"
                    " change by anybody else: keep the token in another file"
                )
            if binding.value is not None or not (binding.error or key):
                continue
            if re.match(_CONFLICT, text):
                raise UnsafeEditError(
                    f"line {line_of(binding)} is the mark of a merge conflict: resolve it"
                )
            if binding.error and text.count('"') % 2 and not re.match(_BROKEN_ASSIGNMENT, text):
                raise UnsafeEditError(
                    f"line {line_of(binding)} cannot be parsed: close its quotes on that line"
                )
            if re.match(_EMBRACED, text):
                raise UnsafeEditError(
                    f"line {line_of(binding)} is shell code, which decides about other lines: keep"
                    f" {self.name} in a file of plain lines NAME=value"
                )

    def _refuse_mentions(self, bindings: Iterable[Binding]) -> None:
        for binding in bindings:
            if self.name not in binding.original.string:
                continue
            text = re.sub(_COMMENT, "", binding.original.string)
            if binding.error:
                if re.search(self._mention, text) or f"${{{self.name}:=" in text:
                    raise self._is_no_assignment(binding)
            elif binding.key and binding.key != self.name:
                if re.search(self._mention, binding.key):
                    raise self._is_no_assignment(binding)
                is_quoted = text.partition("=")[2].lstrip()[:1] in ("'", '"')
                if not is_quoted and re.search(self._assigned, text):
                    raise self._is_no_assignment(binding)

    def _is_no_assignment(self, binding: Binding) -> UnsafeEditError:
        line, text = line_of(binding), binding.original.string
        start = re.match(rf"\s*(?:export\s+)?{re.escape(self.name)}[^\S\r\n]*=\s*", text)
        if start:
            rest = text[start.end() :]
            closed = re.match(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\"""", rest, re.DOTALL)
            if not closed and rest[:1] in ("'", '"'):
                return UnsafeEditError(f"line {line} cannot be parsed: close its quotes")
            return self._goes_on(line)
        return UnsafeEditError(
            f"line {line} names {self.name}, but not as {self.name}=value, so it is not clear who"
            f" reads what: write `export {self.name}=value` on a line of its own"
        )

    def _refuse_strange_lines(self) -> None:
        """Refuse to add a line to a file that does not look like one of variables."""
        for binding in self.bindings:
            key, text = binding.key, binding.original.string
            if binding.error:
                is_understood = re.match(_BROKEN_ASSIGNMENT, text)
            elif key is None:
                continue
            elif binding.value is None:
                is_understood = re.fullmatch(_NAME, key)
            else:
                is_understood = re.fullmatch(_ASSIGNED, key)
            if not is_understood:
                raise UnsafeEditError(
                    f"line {line_of(binding)} is no line NAME=value, so {self.name} is not added:"
                    f" correct it, name another file, or add the line {self.name}= yourself"
                )
            if re.match(_ENCRYPTED_VALUE, binding.value or ""):
                raise UnsafeEditError(
                    f"line {line_of(binding)}: the values of this file are encrypted, so"
                    f" {self.name} is not added in plain text: keep it in another file"
                )


def _refuse_continued(text: str) -> None:
    """Refuse a text above the variable's line that, for sh, goes on in it."""
    if text.rstrip("\r\n").endswith("\\") and re.search(_CONTINUED, text):
        line = len(re.findall(_NEWLINE, re.sub(_CONTINUED, "", text))) + 1
        raise UnsafeEditError(
            f"line {line} ends in a backslash, with which sh joins the next line to it: remove it"
        )


def line_of(binding: Binding) -> int:
    """Return the line on which a binding begins, below the blank lines that belong to it."""
    text = binding.original.string
    blank = text[: len(text) - len(text.lstrip())]
    return binding.original.line + len(re.findall(_NEWLINE, blank))

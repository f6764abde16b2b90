"""Whatever stands in the file: one value and its journal line change, and not a byte besides."""

import io
import re

import dotenv
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from backends.dotenv.gate import UnsafeEditError
from backends.dotenv.text import EnvText, Variable, read_plain

TOKEN = "eyJ0b2tlbi1vbmU.eyJh.c2ln-_"
OTHER = "eyJ0b2tlbi10d28.eyJi.c2ln_-"
FIRST = Variable(TOKEN, "v=1 token=one")
SECOND = Variable(OTHER, "v=1 token=two previous=one")
OLD_NOTE = rb"(?:# rotator:[^\r\n]*(?:\r\n|\n|\r|\Z))?"
NEWLINES = (b"", b"\n", b"\r\n", b"\r")
RELAXED = settings(max_examples=3 * settings().max_examples)

_word = st.text("abcXYZ019_./:-\\$é", min_size=1, max_size=8).map(str.encode)
_key = st.sampled_from([b"A", b"PATH_X", b"TOKEN_2", b"MY_TOKEN", b"token", b"export", b"A.B"])
_space = st.sampled_from([b"", b"", b" ", b"\t ", b"\x0b"])
_fake = st.sampled_from([b"TOKEN=fake", b"# rotator: v=1 token=fake", b"export TOKEN"])


def _quoted(quote: bytes) -> st.SearchStrategy[bytes]:
    parts = st.lists(st.one_of(_word, _fake, st.just(b"\n"), st.just(b"\r\n")), max_size=4)
    return parts.map(lambda words: quote + b" ".join(words).replace(b"\\", b"/") + quote)


_value = st.one_of(_word, st.just(b""), _quoted(b"'"), _quoted(b'"'))
_comment = st.builds(lambda text: b"#" + text, st.one_of(_word, _fake, st.just(b" rotator: x")))
_neighbour = st.one_of(
    st.builds(lambda *parts: b"".join(parts), _space, _key, _space, st.just(b"="), _space, _value),
    st.builds(lambda key, value: b"export " + key + b"=" + value, _key, _value),
    st.builds(lambda gap, comment: gap + comment, _space, _comment),
    st.just(b""),
    _key,
)
_note = st.sampled_from([b"# rotator: v=1 token=old", b"  # rotator: v=1 x", b"# rotator: x"])
_whole = _neighbour.filter(lambda line: not re.match(rb"\s*export\s+(=|$)", line))
_tidy = _whole.filter(lambda line: not line.endswith(b"\\"))  # sh joins the next line to it
_broken = st.sampled_from([b'A="x', b"A='x", b'A="x"y', b"=x", b"\xff\xfe=1", b"'", b"TOKEN='x"])
_literal = _value.map(lambda value: value.replace(b"$", b"").replace(b"\\", b""))


def _set_to(value: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.builds(lambda a, b, c: a + b"=" + b + c, _space, _space, value)


def _line(rest: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.builds(
        lambda *parts: b"".join(parts),
        st.sampled_from([b"", b"", b"export ", b"  "]),
        st.just(b"TOKEN"),
        rest,
        st.sampled_from([b"", b"", b" ", b" # comment", b"\t# TOKEN=x"]),
    )


_target = _line(st.one_of(st.just(b""), _set_to(_value)))
_clear_target = _line(_set_to(_literal))


def _file(*lines: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.builds(
        lambda bom, lines, newline, end: bom + newline.join(lines) + (newline if end else b""),
        st.sampled_from([b"", b"", b"\xef\xbb\xbf"]),
        st.lists(st.one_of(*lines), max_size=8),
        st.sampled_from([b"\n", b"\n", b"\r\n", b"\r"]),
        st.booleans(),
    )


def orderly_files() -> st.SearchStrategy[bytes]:
    """Return files that no write is refused in, with or without the variable."""
    return _file(_tidy, _tidy, _clear_target)


def dotenv_sees(content: bytes) -> dict[str, str | None]:
    text = content.decode("utf-8-sig", "surrogateescape")
    stream = io.StringIO(text, newline="")
    return dotenv.dotenv_values(stream=stream, interpolate=False)


def assert_only_the_value_changed(before: bytes, after: bytes) -> None:
    """Compare without a parser: cut token and journal out, and the old file is around them."""
    head, token, below = after.partition(TOKEN.encode())
    above, note, between = re.split(rb"(# rotator: v=1 token=one(?:\r\n|\n|\r))", head)
    assert (token, note.rstrip()) == (TOKEN.encode(), b"# rotator: v=1 token=one")
    kept = re.escape(above.rstrip(b"\r\n")) + rb"[\r\n]*" + OLD_NOTE + rb"\s*"
    if between.lstrip() == b"TOKEN=" and below in NEWLINES and re.fullmatch(kept, before):
        return  # appended
    assert before.startswith(above)
    assert before.endswith(below)
    middle = before[len(above) : len(before) - len(below)]
    assert re.sub(rb"\A" + OLD_NOTE, b"", middle).startswith(between.removesuffix(b"="))


def assert_writes_are_right(before: bytes) -> None:
    after = EnvText(before, "TOKEN").with_variable(FIRST).content
    assert_only_the_value_changed(before, after)
    assert EnvText(after, "TOKEN").variable == FIRST
    assert dotenv_sees(after) == dotenv_sees(before) | {"TOKEN": TOKEN}
    assert EnvText(after, "TOKEN").with_variable(FIRST).content == after
    again = EnvText(after, "TOKEN").with_variable(SECOND).content
    swapped = after.replace(TOKEN.encode(), OTHER.encode())
    old, new = (f"# rotator: {variable.journal}".encode() for variable in (FIRST, SECOND))
    assert again == swapped.replace(old, new)


def noted(content: bytes, journal: str) -> bytes:
    value = EnvText(content, "TOKEN").variable.value
    return EnvText(content, "TOKEN").with_variable(Variable(value, journal)).content


def assert_only_the_note_changed(before: bytes, after: bytes) -> None:
    """Compare without a parser: cut the note out, and the old file is around it."""
    above, _, below = after.partition(b"# rotator: v=1 token=one")
    is_added, below = below.startswith(b" added"), below.removeprefix(b" added")
    newline = re.match(rb"\r\n|\n|\r|", below).group()  # type: ignore[union-attr] # of nothing, too
    rest = below.removeprefix(newline)
    if is_added and before in {above, above.removesuffix(newline)}:
        assert rest in {b"TOKEN=", b"TOKEN=" + newline}
        return
    orphan = re.escape(above) + OLD_NOTE + rb"\s*"
    if is_added and rest.strip() == b"TOKEN=" and re.fullmatch(orphan, before):
        return  # appended below a note whose variable had been deleted
    if before != above + rest:  # or it is in the place of another note
        assert before.startswith(above)
        assert before.endswith(below)
        assert re.fullmatch(OLD_NOTE, before[len(above) : len(before) - len(below)])


def assert_notes_are_right(before: bytes) -> None:
    value, journal = (old := EnvText(before, "TOKEN").variable).value, old.journal
    after = noted(before, "v=1 token=one")
    assert_only_the_note_changed(before, after)
    assert EnvText(after, "TOKEN").variable == Variable(value, "v=1 token=one")
    assert dotenv_sees(after) == {"TOKEN": "", **dotenv_sees(before)}
    assert noted(after, "v=1 token=one") == after
    assert noted(after, "v=1 token=two") == after.replace(b"v=1 token=one", b"v=1 token=two")
    assert (
        EnvText(after, "TOKEN").with_variable(FIRST).content
        == EnvText(before, "TOKEN").with_variable(FIRST).content
    )
    cleared = noted(after, "")
    assert EnvText(cleared, "TOKEN").variable == Variable(value, "")
    assert noted(cleared, "") == cleared
    if not journal and b"# rotator: v=" not in before:
        assert cleared == before


@RELAXED
@given(_file(_tidy, _tidy, _clear_target, _note))
@example(b"A=1\n   ")
@example(b"A=1\r\nB=2\nC=3\r")
@example(b"TOKEN=")
@example(b"TOKEN=a\nTOKEN=\n")
@example(b"A=1\n# rotator: v=1 token=orphan")
@example(b"TOKEN=\xff'\xfe # c\n")
@example(b"\xef\xbb\xbf")
@example(b"")
def test_a_note_changes_nothing_but_the_journal(before: bytes) -> None:
    assert_notes_are_right(before)


@RELAXED
@given(orderly_files())
@example(b"TOKEN=a\n# rotator: x\n\n  TOKEN = 'b' # c")
@example(b"A=1\n   ")
@example(b"A=\n# rotator: x\n\n")
@example(b"")
def test_an_orderly_file_is_never_refused(before: bytes) -> None:
    assert_writes_are_right(before)


def assert_changed_rightly_or_not_at_all(before: bytes) -> None:
    try:
        EnvText(before, "TOKEN").with_variable(FIRST)
        noted(before, FIRST.journal)
    except UnsafeEditError:
        event("refused")
        return
    event("changed")
    assert_writes_are_right(before)
    assert_notes_are_right(before)


@RELAXED
@given(_file(_neighbour, _broken, _target, _note))
def test_a_broken_file_is_changed_rightly_or_not_at_all(before: bytes) -> None:
    assert_changed_rightly_or_not_at_all(before)


@RELAXED
@given(st.lists(st.one_of(st.binary(max_size=6), st.sampled_from([b"TOKEN", b"=", b"\n"]))))
def test_arbitrary_bytes_are_changed_rightly_or_not_at_all(parts: list[bytes]) -> None:
    assert_changed_rightly_or_not_at_all(b"".join(parts))


@RELAXED
@given(
    st.lists(_whole, max_size=4),
    st.sampled_from([b"", b"export ", b" "]),
    st.sampled_from([b"", b" "]),
    st.sampled_from([(b"", b""), (b"'", b"'"), (b'"', b'"')]),
    st.lists(_whole, max_size=4),
    st.sampled_from([b"\n", b"\r\n"]),
)
def test_the_whole_file_is_the_one_expected(  # noqa: PLR0913, PLR0917 - the parts of a file
    above: list[bytes],
    export: bytes,
    gap: bytes,
    quotes: tuple[bytes, bytes],
    below: list[bytes],
    newline: bytes,
) -> None:
    def made(note: bytes, value: bytes) -> bytes:
        line = export + b"TOKEN" + gap + b"=" + gap + quotes[0] + value + quotes[1] + b" # c"
        lines = [*above, b"A=1", *note.splitlines(), line, *below, b""]
        return b"\n".join(lines).replace(b"\r\n", b"\n").replace(b"\n", newline)

    after = EnvText(made(b"", b"old"), "TOKEN").with_variable(FIRST).content
    assert after == made(b"# rotator: v=1 token=one", TOKEN.encode())


_safe = st.text("abcXYZ019_./:@%+,=-", max_size=8).map(str.encode)
_plain_line = st.one_of(
    st.just(b""),
    st.builds(lambda text: b"# " + text, _word),
    st.builds(lambda key, value: key + b"=" + value, st.sampled_from([b"A", b"X_1"]), _safe),
    st.builds(lambda value: b'export B="' + value + b'"', _safe),
    st.sampled_from(
        [b"sops_x=1", b"MY_TOKEN=1", b"Salted__=1", b"URL=http://rotator:80", b"A='b c'"]
    ),
    _note,
)
_plain_target = st.builds(
    lambda note, export, quote, end: (
        note + export + b"TOKEN=" + quote + TOKEN.encode() + quote + end
    ),
    st.sampled_from([b"", b"# rotator: v=1 token=one\n", b"# rotator: v=1 token=one added\n"]),
    st.sampled_from([b"", b"export ", b" "]),
    st.sampled_from([b"", b"'", b'"']),
    st.sampled_from([b"", b"", b" ", b" # c", b"\r", b"."]),
)


@RELAXED
@given(
    st.lists(_plain_line, max_size=4),
    st.one_of(_plain_target, _target),
    st.lists(st.one_of(_plain_line, _neighbour), max_size=2),
    st.sampled_from([b"", b"\n"]),
)
@example([], b"TOKEN=" + TOKEN.encode(), [], b"")
def test_a_quick_look_at_a_plain_file_finds_what_a_thorough_one_does(
    above: list[bytes], target: bytes, below: list[bytes], end: bytes
) -> None:
    content = b"\n".join([*above, target, *below]) + end
    found = read_plain(content, "TOKEN")
    event("quick" if found else "thorough")
    if found:
        text = EnvText(content, "TOKEN")
        assert found == text.variable
        assert not text.has_traces_of("TOKEN_REHEARSAL")


def test_the_usual_file_gets_a_quick_look() -> None:
    usual = f"# A bot\nBOT_NAME='Luna 1'\n\n# rotator: v=1 token=one\nTOKEN={TOKEN}\nA=1\n"
    assert read_plain(usual.encode(), "TOKEN") == Variable(TOKEN, "v=1 token=one")

"""A note: the journal changes alone, above a secret of any kind or above none."""

from pathlib import Path

import pytest

from rotator.errors import ConflictError, StoreError
from rotator.stores.journal import Journal
from rotator.stores.port import Absent, Entry
from tests.dotenv.helpers import NO_JOURNAL, dotenv_value, names_in, note, put, sh_value, store_at

ADDED = b"# rotator: v=1 token=id-1 added"
ONE, TWO = Journal(token_id="id-1"), Journal(token_id="id-2")
LINE, SECOND = b"# rotator: v=1 token=id-1", b"# rotator: v=1 token=id-2"
PRESENT = {
    "an unquoted value": b"A=1\nTOKEN=old\nB=2\n",
    "quotes, export and a comment": b"A=1\nexport TOKEN=\"old\" # c\nB='2'\n",
    "no newline at the end": b"A=1\nTOKEN='old'",
    "CRLF": b"A=1\r\nTOKEN=old\r\nB=2\r\n",
    "CR alone": b"A=1\rTOKEN=old\r",
    "a byte order mark": b"\xef\xbb\xbfTOKEN=old\n",
    "spaces around =": b"TOKEN =  'old' \n",
    "blank lines around": b"\n\n  TOKEN=old\n\n\n",
    "the last of duplicates": b"TOKEN=\nTOKEN=old\n",
    "quotes in the value": b"TOKEN=o'l\"d\n",
    "dollars in single quotes": b"TOKEN='$HOME`id`'\n",
    "the last line of a template": b"A=1\nTOKEN=\n",
    "the last line of a template without a newline": b"A=1\nTOKEN=",
    "a template of one line": b"TOKEN=\n",
    "escapes in the value": b'TOKEN="o\\tl\\"d\\\\" # c\n',
    "a value of several lines": b"TOKEN='o\nl\r\nd'\nB=1\n",
    "a value that is no UTF-8": b"TOKEN=a\xff\xfeb # \xe9\n",
    "a value that is far too long": b"TOKEN=" + b"x" * 9000 + b"\n",
    "a name without a value": b"export TOKEN # later\nB=1\n",
    "an empty value above others": b"TOKEN=\nB=1\n",
    "an empty value in quotes": b"TOKEN=''\n",
    "an empty value with a comment": b"TOKEN= # fill me\n",
    "an empty value that is exported": b"export TOKEN=\n",
    "an empty one of duplicates": b"TOKEN=old\nTOKEN=\n",
}
ABSENT = {
    "no file": None,
    "an empty file": b"",
    "a mark and nothing else": b"\xef\xbb\xbf",
    "another variable": b"A=1\n",
    "no newline at the end": b"A=1",
    "CRLF": b"A=1\r\nB=2\r\n",
    "CRLF, no newline at the end": b"A=1\r\nB=2",
    "CR alone": b"A=1\rB=2\r",
    "mixed newlines": b"A=1\r\nB=2\nC=3\r",
    "blank lines at the end": b"A=1\n\n  \n",
    "spaces at the end": b"A=1\n  ",
    "a comment at the end": b"A=1\n# TOKEN=old",
    "a broken line": b"A='x\n",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / ".env"


@pytest.mark.parametrize("case", PRESENT)
def test_a_note_comes_and_goes_as_one_line_above(case: str, file: Path) -> None:
    before = PRESENT[case]
    file.write_bytes(before)
    note(file, ONE)
    above, _, below = file.read_bytes().partition(LINE)
    newline = b"\r\n" if below.startswith(b"\r\n") else below[:1]
    assert above + below.removeprefix(newline) == before
    assert b"TOKEN" in below.split(newline)[1]
    assert store_at(file).read().journal == ONE
    note(file, TWO)
    assert file.read_bytes() == above + SECOND + below
    note(file)
    assert file.read_bytes() == before


@pytest.mark.parametrize("case", ABSENT)
def test_a_note_about_a_variable_that_is_absent_leaves_no_trace(case: str, file: Path) -> None:
    before = ABSENT[case]
    if before is not None:
        file.write_bytes(before)
    note(file, ONE)
    found = store_at(file).read()
    assert isinstance(found, Absent)
    assert found.journal == ONE
    assert dotenv_value(file) == ""
    newline = b"\r\n" if b"\r\n" in (before or b"") and case != "mixed newlines" else b"\n"
    newline = b"\r" if case == "CR alone" else newline
    assert file.read_bytes().rstrip(newline).endswith(ADDED + newline + b"TOKEN=")
    assert file.read_bytes().startswith(before or b"")
    note(file, TWO)
    note(file)
    assert file.read_bytes() == (before or b"")


@pytest.mark.parametrize("case", ABSENT)
def test_a_secret_comes_to_stand_where_it_would_have_without_the_note(
    case: str, file: Path, tmp_path: Path
) -> None:
    before, other = ABSENT[case], tmp_path / "other"
    for path in (file, other):
        if before is not None:
            path.write_bytes(before)
    note(file, ONE)
    for path in (file, other):
        put(path, "new", TWO)
    assert file.read_bytes() == other.read_bytes()


def test_a_secret_without_a_journal_takes_the_place_of_a_note_about_nothing(file: Path) -> None:
    note(file, ONE)
    put(file, "new")
    assert file.read_bytes() == b"TOKEN=new\n"


@pytest.mark.parametrize("case", ABSENT)
def test_an_empty_note_about_nothing_adds_nothing(case: str, file: Path) -> None:
    before = ABSENT[case]
    if before is not None:
        file.write_bytes(before)
    note(file)
    assert (file.read_bytes() if file.exists() else None) == before


def test_sh_reads_what_it_read_before(file: Path) -> None:
    file.write_bytes(b'A=1\nexport TOKEN="old one" # c\n')
    note(file, ONE)
    assert sh_value(file) == "old one"


def test_lines_that_came_below_a_note_keep_the_empty_one_above_them(file: Path) -> None:
    note(file, ONE)
    with file.open("ab") as stream:
        stream.write(b"B=1\n")
    note(file)
    assert file.read_bytes() == b"TOKEN=\nB=1\n"


def test_an_empty_value_that_hides_an_older_one_stays(file: Path) -> None:
    file.write_bytes(b"TOKEN=older\n" + LINE + b"\nTOKEN=\n")
    note(file)
    assert file.read_bytes() == b"TOKEN=older\nTOKEN=\n"
    assert isinstance(store_at(file).read(), Absent)


def test_a_note_whose_variable_was_deleted_is_used_again(file: Path) -> None:
    file.write_bytes(b"A=1\n# rotator: v=1 token=gone\n")
    note(file, ONE)
    assert file.read_bytes() == b"A=1\n" + ADDED + b"\nTOKEN=\n"


def test_an_empty_line_that_was_filled_meanwhile_is_no_longer_ours(file: Path) -> None:
    note(file, ONE)
    put(file, "new", ONE)
    put(file, "newer", TWO)
    assert file.read_bytes() == SECOND + b"\nTOKEN=newer\n"


def test_an_empty_note_removes_every_copy_of_the_line(file: Path) -> None:
    file.write_bytes(SECOND + b"\n" + LINE + b"\nTOKEN='old'\n")
    note(file)
    assert file.read_bytes() == b"TOKEN='old'\n"


def test_a_note_returns_the_version_that_read_sees(file: Path) -> None:
    versions = [note(file, ONE), put(file, "a", ONE), note(file, TWO), note(file)]
    assert versions[3] == store_at(file).read().version
    assert len(set(versions)) == 4


def test_a_note_needs_the_version_that_is_there(file: Path) -> None:
    absent = store_at(file).read().version
    file.write_bytes(b"TOKEN=a\n")
    seen = store_at(file).read().version
    note(file, ONE)
    before = file.read_bytes()
    for stale in (absent, seen):
        with pytest.raises(ConflictError, match="somebody else changed TOKEN"):
            store_at(file).note(TWO, expected=stale)
    assert file.read_bytes() == before


def test_a_note_that_is_there_already_leaves_the_file_alone(file: Path) -> None:
    file.write_bytes(b"TOKEN='a'\n")
    note(file, ONE)
    before = file.stat()
    note(file, ONE)
    assert file.stat() == before


def test_a_note_may_be_taken_inside_a_hold_and_leaves_nothing_else(
    file: Path, tmp_path: Path
) -> None:
    store = store_at(file)
    with store.hold():
        version = store.note(ONE, expected=store.read().version)
        store.write("new", ONE, expected=version)
        store.note(TWO, expected=store.read().version)
    assert names_in(tmp_path) == [".env"]
    assert file.read_bytes() == SECOND + b"\nTOKEN=new\n"


def test_a_file_with_a_second_name_is_noted_in_place(file: Path, tmp_path: Path) -> None:
    file.write_bytes(b"TOKEN='a\xff'\n")
    (tmp_path / "twin").hardlink_to(file)
    note(file, ONE)
    assert (tmp_path / "twin").read_bytes() == LINE + b"\nTOKEN='a\xff'\n"
    assert names_in(tmp_path) == [".env", "twin"]


def test_mode_and_symlink_are_kept(file: Path, tmp_path: Path) -> None:
    file.write_bytes(b"TOKEN=a\n")
    file.chmod(0o640)
    (tmp_path / "link").symlink_to(".env")
    note(tmp_path / "link", ONE)
    assert (tmp_path / "link").is_symlink()
    assert file.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("content", [b'TOKEN="open\n', "TOKEN=a\n".encode("utf-16")])
def test_a_file_that_cannot_be_noted_is_refused_by_preflight_too(
    content: bytes, file: Path
) -> None:
    file.write_bytes(content)
    store = store_at(file)
    for action in (store.preflight, lambda: store.note(ONE, expected="any")):
        with pytest.raises(StoreError, match=r"cannot be parsed|UTF-16"):
            action()
    assert file.read_bytes() == content


def test_a_secret_stays_a_secret(file: Path) -> None:
    file.write_bytes(b"TOKEN=hunter2\n")
    note(file, ONE)
    entry = store_at(file).read()
    assert isinstance(entry, Entry)
    assert entry.secret == "hunter2"
    assert "hunter2" not in repr(entry)
    assert entry.journal != NO_JOURNAL

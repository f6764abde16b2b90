"""What a change does to each way of writing a line."""

from pathlib import Path

import pytest

from rotator.stores.journal import Journal
from tests.dotenv.helpers import dotenv_value, put, sh_value, store_at

NOTE = Journal(token_id="id-1", previous_token_id="id-0")
LINE = b"# rotator: v=1 token=id-1 previous=id-0"

ALSO_FOR_SH = {
    "an unquoted value": (b"TOKEN=old\n", b"TOKEN=new\n"),
    "a single-quoted value": (b"TOKEN='old one'\n", b"TOKEN='new'\n"),
    "a double-quoted value": (b'TOKEN="old one"\n', b'TOKEN="new"\n'),
    "a value of several lines": (b'TOKEN="o\nl\nd"\nB=1\n', b'TOKEN="new"\nB=1\n'),
    "escaped quotes in a value": (b'TOKEN="o\\"l\\"d" # x\n', b'TOKEN="new" # x\n'),
    "export, quotes and a comment": (b'export TOKEN="x" # c\n', b'export TOKEN="new" # c\n'),
    "export and more than one space": (b"export \t TOKEN=old\n", b"export \t TOKEN=new\n"),
    "an indented line": (b"A=1\n  TOKEN=old\n", b"A=1\n  TOKEN=new\n"),
    "an inline comment": (b"TOKEN=old  # TOKEN=no\n", b"TOKEN=new  # TOKEN=no\n"),
    "a # that is part of the value": (b"TOKEN=old#x\n", b"TOKEN=new\n"),
    "spaces at the end": (b"TOKEN=old \t\nB=1\n", b"TOKEN=new \t\nB=1\n"),
    "an empty value": (b"A=1\nTOKEN=\nB=2\n", b"A=1\nTOKEN=new\nB=2\n"),
    "an empty value and a comment": (b"TOKEN= # fill me\n", b"TOKEN=new # fill me\n"),
    "empty quotes": (b"TOKEN=''\n", b"TOKEN='new'\n"),
    "a bare name": (b"export TOKEN # later\n", b"export TOKEN=new # later\n"),
    "the last of duplicates": (b"TOKEN=a\nTOKEN=b\nB=1\n", b"TOKEN=a\nTOKEN=new\nB=1\n"),
    "no newline at the end": (b"A=1\nTOKEN=old", b"A=1\nTOKEN=new"),
    "a longer name beside it": (b"TOKEN=a\nTOKEN_2=b\nMY_TOKEN=c\n", None),
    "a fake line in a neighbour": (
        b"A='\nTOKEN=x\n'\nTOKEN=old\n",
        b"A='\nTOKEN=x\n'\nTOKEN=new\n",
    ),
    "a fake line below": (b'TOKEN=old\nA="\nTOKEN=x\n"\n', b'TOKEN=new\nA="\nTOKEN=x\n"\n'),
    "a commented-out line": (b"TOKEN=old\n#TOKEN=x\n", b"TOKEN=new\n#TOKEN=x\n"),
    "blank lines around": (b"\n\nTOKEN=old\n\n\nB=1\n\n", b"\n\nTOKEN=new\n\n\nB=1\n\n"),
    "an absent variable": (b"A=1\n", b"A=1\nTOKEN=new\n"),
    "an absent variable, no newline": (b"A=1", b"A=1\nTOKEN=new"),
    "an absent variable, comment last": (b"A=1\n# end", b"A=1\n# end\nTOKEN=new"),
    "an empty file": (b"", b"TOKEN=new\n"),
    "bytes that are no UTF-8": (b"# caf\xe9 \xff\nTOKEN=old\n", b"# caf\xe9 \xff\nTOKEN=new\n"),
}
FOR_DOTENV_ONLY = {
    "spaces around =": (b"TOKEN = old\n", b"TOKEN = new\n"),
    "spaces around = and quotes": (b"TOKEN =  'old' \n", b"TOKEN =  'new' \n"),
    "a quoted name": (b"'TOKEN'=old\n", b"'TOKEN'=new\n"),
    "a value with spaces": (b"TOKEN=o l d\n", b"TOKEN=new\n"),
    "a value that starts with a #": (b"TOKEN=#old\n", b"TOKEN=new\n"),
    "CRLF": (b"A=1\r\nTOKEN=old\r\nB=2\r\n", b"A=1\r\nTOKEN=new\r\nB=2\r\n"),
    "CRLF and an absent variable": (b"A=1\r\nB=2", b"A=1\r\nB=2\r\nTOKEN=new"),
    "CR alone": (b"A=1\rTOKEN=old\rB=2\r", b"A=1\rTOKEN=new\rB=2\r"),
    "a byte order mark": (b"\xef\xbb\xbfTOKEN=old\n", b"\xef\xbb\xbfTOKEN=new\n"),
    "a mark and nothing else": (b"\xef\xbb\xbf", b"\xef\xbb\xbfTOKEN=new\n"),
    "a broken line above": (b"A='x\nTOKEN=old\n", b"A='x\nTOKEN=new\n"),
    "a broken line before a good one": (b'TOKEN="x"y\nTOKEN=\n', b'TOKEN="x"y\nTOKEN=new\n'),
}
ALL = ALSO_FOR_SH | FOR_DOTENV_ONLY


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / ".env"


@pytest.mark.parametrize("case", ALL)
def test_only_the_value_changes(case: str, file: Path) -> None:
    before, after = ALL[case]
    file.write_bytes(before)
    put(file, "new")
    assert file.read_bytes() == (after or before.replace(b"=a", b"=new"))
    assert dotenv_value(file) == "new"


@pytest.mark.parametrize("case", ALSO_FOR_SH)
def test_sh_reads_the_new_value_too(case: str, file: Path) -> None:
    file.write_bytes(ALSO_FOR_SH[case][0])
    put(file, "aZ09_.~+/=-", NOTE)
    assert sh_value(file) == dotenv_value(file) == "aZ09_.~+/=-"


@pytest.mark.parametrize("case", ALL)
def test_the_journal_comes_and_goes_as_one_line_above(case: str, file: Path) -> None:
    file.write_bytes(ALL[case][0])
    put(file, "new")
    without = file.read_bytes()
    put(file, "new", NOTE)
    before, _, after = file.read_bytes().partition(LINE)
    newline = after[: len(after) - len(after.lstrip())].splitlines(keepends=True)[0]
    assert before + after.removeprefix(newline) == without
    assert b"TOKEN" in after.splitlines()[1]
    assert store_at(file).read().journal == NOTE
    put(file, "new")
    assert file.read_bytes() == without


def test_a_journal_takes_the_place_of_the_one_before(file: Path) -> None:
    file.write_bytes(b"A=1\r\n  # rotator: v=1 token=older  \r\n\r\nTOKEN=old")
    put(file, "new", NOTE)
    assert file.read_bytes() == b"A=1\r\n  " + LINE + b"\r\n\r\nTOKEN=new"


def test_a_comment_of_somebody_else_is_no_journal(file: Path) -> None:
    file.write_bytes(b"# the rotator: writes this\nTOKEN=old\n")
    put(file, "new", NOTE)
    assert file.read_bytes() == b"# the rotator: writes this\n" + LINE + b"\nTOKEN=new\n"


def test_a_journal_inside_a_neighbours_value_is_no_journal(file: Path) -> None:
    before = b'A="\n# rotator: v=1 token=fake"\nTOKEN=old\n'
    file.write_bytes(before)
    assert store_at(file).read().journal == Journal()
    put(file, "new", NOTE)
    assert file.read_bytes() == before.replace(b"TOKEN=old", LINE + b"\nTOKEN=new")


def test_a_journal_whose_variable_was_deleted_is_used_again(file: Path) -> None:
    file.write_bytes(b"A=1\n# rotator: v=1 token=gone")
    assert store_at(file).read().journal == Journal()
    put(file, "new", NOTE)
    assert file.read_bytes() == b"A=1\n" + LINE + b"\nTOKEN=new"


def test_an_empty_journal_removes_every_copy_of_the_line(file: Path) -> None:
    file.write_bytes(b"# rotator: v=1 token=a\n# rotator: v=1 token=b\nTOKEN=old\n")
    assert store_at(file).read().journal == Journal(token_id="b")
    put(file, "new")
    assert file.read_bytes() == b"TOKEN=new\n"


def test_the_journal_of_another_variable_stays(file: Path) -> None:
    put(file, "one", NOTE, name="A")
    put(file, "two", Journal(token_id="id-2"), name="B")
    put(file, "three", NOTE, name="A")
    assert file.read_bytes() == LINE + b"\nA=three\n# rotator: v=1 token=id-2\nB=two\n"


def test_a_comment_of_a_person_who_writes_like_us_is_kept(file: Path) -> None:
    file.write_bytes(b"# rotator: ask bob\nTOKEN=old\n")
    put(file, "new", NOTE)
    assert file.read_bytes() == b"# rotator: ask bob\n" + LINE + b"\nTOKEN=new\n"

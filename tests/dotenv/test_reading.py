"""What `read` answers, and what it only warns about."""

from pathlib import Path

import pytest

from rotator.errors import ConflictError, StoreError
from rotator.stores.journal import Journal
from rotator.stores.port import Absent, Entry
from tests.dotenv.helpers import names_in, put, store_at


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / ".env"


def test_a_secret_comes_with_its_journal(file: Path) -> None:
    file.write_text("# rotator: v=1 token=id-1 previous=id-0\nexport TOKEN='a b' # x\n")
    entry = store_at(file).read()
    assert isinstance(entry, Entry)
    assert entry.secret == "a b"
    assert entry.journal == Journal(token_id="id-1", previous_token_id="id-0")


@pytest.mark.parametrize("text", ["", "A=1", "TOKEN", "TOKEN=", "TOKEN=''\n", "TOKEN=a\nTOKEN="])
def test_no_value_is_absent(text: str, file: Path) -> None:
    file.write_text(text)
    assert isinstance(store_at(file).read(), Absent)


def test_no_file_is_absent_and_none_is_made(file: Path, tmp_path: Path) -> None:
    assert isinstance(store_at(file).read(), Absent)
    assert names_in(tmp_path) == []


def test_the_version_is_about_this_variable_only(file: Path) -> None:
    file.write_text("A=1\nTOKEN=a\n")
    version = store_at(file).read().version
    file.write_text("A=2\n\nTOKEN='a' # new\nB=3\n")
    assert store_at(file).read().version == version
    file.write_text("TOKEN=b\n")
    other = store_at(file).read().version
    file.write_text("# rotator: v=1 token=x\nTOKEN=a\n")
    assert len({version, other, store_at(file).read().version}) == 3


def test_the_version_hides_the_secret(file: Path) -> None:
    file.write_text("TOKEN=hunter2\n")
    entry = store_at(file).read()
    assert "hunter2" not in repr(entry)


def test_a_value_that_is_no_utf8_can_still_be_printed(file: Path) -> None:
    file.write_bytes(b"TOKEN=a\xffb\n")
    entry = store_at(file).read()
    assert isinstance(entry, Entry)
    assert entry.secret.encode() == "a\N{REPLACEMENT CHARACTER}b".encode()


def test_a_write_needs_the_version_that_is_there(file: Path) -> None:
    stale = store_at(file).read().version
    put(file, "a")
    before = file.read_bytes()
    with pytest.raises(ConflictError, match="somebody else changed TOKEN"):
        store_at(file).write("b", Journal(), expected=stale)
    assert file.read_bytes() == before


def test_a_neighbours_edit_is_no_conflict_and_survives(file: Path) -> None:
    file.write_text("TOKEN=a\n")
    version = store_at(file).read().version
    file.write_text("A=1\nTOKEN=a\nB=2\n")
    store_at(file).write("b", Journal(), expected=version)
    assert file.read_text() == "A=1\nTOKEN=b\nB=2\n"


def test_a_write_returns_the_version_that_read_sees(file: Path) -> None:
    journal = Journal(token_id="id-1")
    assert put(file, "a", journal) == store_at(file).read().version


@pytest.mark.parametrize("secret", ["", "a b", "a\nB=1", "'a", 'a"', "a$b", "#", "~a", "é", "a;b"])
def test_a_secret_that_needs_quoting_is_not_written_nor_shown(secret: str, file: Path) -> None:
    with pytest.raises(StoreError, match="this secret is not written") as caught:
        put(file, secret + "hunter2" if secret else "")
    assert "hunter2" not in str(caught.value)
    assert not file.exists()


def test_a_secret_has_at_most_8192_characters(file: Path) -> None:
    put(file, "x" * 8192)
    with pytest.raises(StoreError):
        put(file, "x" * 8193)


def test_an_id_with_a_line_break_does_not_reach_the_file(file: Path) -> None:
    put(file, "a", Journal(token_id="x\nTOKEN=evil", previous_token_id="b"))
    assert file.read_text() == "# rotator: v=1 previous=b\nTOKEN=a\n"


@pytest.mark.parametrize("text", ["A=1\nTOKEN=a\n", "A=1"])
def test_a_file_in_utf_16_is_refused(text: str, file: Path) -> None:
    file.write_text(text, encoding="utf-16")
    with pytest.raises(StoreError, match="UTF-16"):
        store_at(file).read()


def test_a_file_that_everybody_can_read_is_worth_one_warning(
    open_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = open_folder / ".env"
    file.write_text("TOKEN=a\n")
    file.chmod(0o644)
    store = store_at(file)
    store.read()
    store.read()
    store.scratch().read()  # of the same file
    assert [record.getMessage() for record in caplog.records] == [
        f"{store.url} is readable by every user of this machine: chmod o-r it"
    ]


def test_a_file_in_a_folder_that_others_cannot_enter_is_worth_none(
    open_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (open_folder / "closed").mkdir(0o750)
    file = open_folder / "closed" / ".env"
    file.write_text("TOKEN=a\n")
    file.chmod(0o644)
    store_at(file).read()
    assert caplog.records == []


def test_a_file_of_ones_own_is_worth_none(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    file.touch(0o640)
    file.chmod(0o640)
    store_at(file).read()
    assert caplog.records == []

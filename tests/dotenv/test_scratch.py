"""The scratch place of a rehearsal: a variable that comes and goes, and leaves no byte behind."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backends.dotenv.gate import UnsafeEditError
from backends.dotenv.store import ScratchVariable
from backends.dotenv.text import EnvText, Variable
from rotator.errors import ConflictError, StoreError
from rotator.stores.journal import Journal
from rotator.stores.port import Absent, Entry
from rotator.testing.rig import new_intent, new_journal, new_secret
from tests.dotenv.helpers import NAME, dotenv_value, names_in, put, sh_value, store_at
from tests.dotenv.test_properties import FIRST, RELAXED, SECOND, dotenv_sees, orderly_files

SCRATCH = f"{NAME}_REHEARSAL"


def scratch_at(path: Path) -> ScratchVariable:
    return store_at(path).scratch()


def removed(path: Path, journal: Journal | None = None) -> None:
    scratch_at(path).remove(journal or Journal(), expected=scratch_at(path).read().version)


@RELAXED
@given(orderly_files(), st.sampled_from([FIRST, SECOND, Variable(None, "v=1 token=one")]))
@example(b"A=1", FIRST)
@example(b"A=1\n\n\n", FIRST)
@example(b"A=1\n# about nothing\n  ", FIRST)
@example(b"A=1\r\nB=2\nC=3\r", FIRST)
@example(b"\xef\xbb\xbf", FIRST)
@example(b"", FIRST)
@example(b"# rotator: v=1 token=one\nTOKEN=a", FIRST)
def test_what_a_rehearsal_adds_is_removed_to_the_byte(before: bytes, wanted: Variable) -> None:
    try:
        after = EnvText(before, SCRATCH).with_variable(wanted).content
    except UnsafeEditError:
        return
    assert dotenv_sees(after) == dotenv_sees(before) | {SCRATCH: wanted.value or ""}
    assert EnvText(after, NAME).variable == EnvText(before, NAME).variable
    again = EnvText(after, SCRATCH).with_variable(Variable(wanted.value, "v=1 token=three")).content
    assert EnvText(again, SCRATCH).without_variable().content == before
    assert EnvText(before, SCRATCH).without_variable().content == before


def test_it_stays_beside_the_secret_that_it_does_not_touch(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("# bot\nTOKEN=a\nB=2")
    put(file, secret := new_secret(), journal := new_journal())
    before = file.read_bytes()
    scratch = scratch_at(file)
    assert isinstance(scratch.read(), Absent)
    assert not store_at(file).read().has_scratch
    version = scratch.note(Journal(intents=(new_intent(),)), expected=scratch.read().version)
    assert store_at(file).read().has_scratch
    scratch.write(canary := new_secret(), Journal(token_id="t-1"), expected=version)
    found = store_at(file).read()
    assert isinstance(found, Entry)
    assert (found.secret, found.journal, found.has_scratch) == (secret, journal, True)
    assert dotenv_value(file, SCRATCH) == sh_value(file, SCRATCH) == canary
    assert sh_value(file) == secret
    removed(file)
    assert file.read_bytes() == before
    assert names_in(tmp_path) == [".env"]


def test_a_mint_that_is_not_settled_stays_noted(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(before := b"TOKEN=a\n")
    scratch = scratch_at(file)
    scratch.write(new_secret(), Journal(token_id="t-1"), expected=scratch.read().version)
    removed(file, open_one := Journal(intents=(new_intent(),)))
    assert scratch_at(file).read() == Absent(scratch_at(file).read().version, open_one)
    removed(file)
    assert file.read_bytes() == before


def test_what_somebody_else_wrote_there_is_not_removed(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(f"TOKEN=a\n{SCRATCH}=mine\n")
    version = scratch_at(file).read().version
    file.write_text(text := f"TOKEN=a\n{SCRATCH}=mine, too\n")
    with pytest.raises(ConflictError):
        scratch_at(file).remove(Journal(), expected=version)
    assert file.read_text() == text
    file.write_text(text := f"{SCRATCH}=mine\nTOKEN=a\n{SCRATCH}=again\n")
    with pytest.raises(StoreError, match=f"2 lines set {SCRATCH}: delete them by hand"):
        removed(file)
    assert file.read_text() == text


def test_an_empty_variable_of_that_name_is_no_trace_of_a_rehearsal(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(f"TOKEN=a\n{SCRATCH}=\n")
    assert not store_at(file).read().has_scratch
    file.write_text(f"TOKEN=a\n# rotator: v=1 token=t-1\n{SCRATCH}=\n")
    assert store_at(file).read().has_scratch


def test_a_file_that_is_not_there_is_not_made_for_it(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    store_at(file).preflight()
    with pytest.raises(StoreError, match="there is no such file yet"):
        scratch_at(file).preflight()
    file.touch()
    scratch_at(file).preflight()
    assert file.read_bytes() == b""

"""What a program is given and told, and what is believed of its answers."""

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from backends.command.address import CommandAddress
from backends.command.program import Exit, StoreProgram, Verb
from rotator.clock import TimeBudget
from rotator.errors import (
    ConfigError,
    ConflictError,
    StoreDeniedError,
    StoreError,
    StoreUnreachableError,
    UnconfirmedWriteError,
)
from rotator.stores.journal import Journal
from rotator.stores.port import Absent, Entry, Rehearsable, SecretStore, parse_url
from rotator.stores.registry import Backends
from rotator.testing.rig import new_journal, new_secret, read_back, write
from tests.command.conftest import installed
from tests.support.stores import scratch_beside
from tests.support.waiting import FOREVER, wait_until

TOKEN = "eyJhbGciOiJIUzI1NiJ9.e30.c2ln"
BOTH = '"capabilities": ["compare-and-set", "notes"]'


def program(folder: Path, script: str, name: str = "program") -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def store_at(folder: Path, script: str, options: str = "") -> SecretStore:
    program(folder, script)
    return Backends().open(f"command:program{options}#NAME", folder)


def answering(folder: Path, answer: str, status: int = 0) -> SecretStore:
    (folder / "answer").write_text(answer)
    return store_at(folder, f"cat answer; echo {TOKEN} >&2; exit {status}")


def test_the_token_is_given_on_stdin_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two_lines = installed("two_lines.sh", tmp_path)
    program(
        tmp_path,
        f'{{ echo "$*"; env; }} >>called; tee -a given | {two_lines} token "$3"',
    )
    monkeypatch.setenv("NOCTURNA_ADMIN_PASSWORD", "hunter2")
    monkeypatch.setenv("ROTATOR_NOTIFY", "mailto://hunter2")
    monkeypatch.setenv("LUNA_REGION", "eu")
    store = Backends().open("command:program?args=token+x%2Fy#NAME", tmp_path)
    secret = new_secret()
    version = write(store, secret, new_journal())
    store.note(new_journal(), expected=version)
    store.preflight()
    scratch = scratch_beside(store)
    scratch.remove(Journal(), expected=scratch.read().version)
    called = (tmp_path / "called").read_text()
    lines = [line for line in called.splitlines() if line.startswith("token x/y ")]
    assert {line.rpartition(" ")[2] for line in lines} == set(Verb)
    assert "LUNA_REGION=eu" in called
    for hidden in (secret, "hunter2", "NOCTURNA_", "ROTATOR_"):
        assert hidden not in called
    requests = [json.loads(line) for line in (tmp_path / "given").read_text().splitlines()]
    assert {request["name"] for request in requests} == {"NAME", "NAME_REHEARSAL"}
    assert [r["secret"] for r in requests if "secret" in r] == [secret]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (Exit.DENIED, StoreDeniedError),
        (Exit.UNREACHABLE, StoreUnreachableError),
        (Exit.CONFLICT, ConflictError),
        (1, StoreUnreachableError),
        (127, StoreUnreachableError),
    ],
)
def test_an_exit_status_tells_what_is_wrong(
    tmp_path: Path, status: int, kind: type[StoreError]
) -> None:
    with pytest.raises(kind) as caught:
        answering(tmp_path, TOKEN, status).read()
    assert str(caught.value).startswith(f"command:{tmp_path}/program#NAME: ")
    assert TOKEN not in str(caught.value)


def test_a_message_tells_how_to_ask_the_program_by_hand(tmp_path: Path) -> None:
    with pytest.raises(StoreUnreachableError) as caught:
        answering(tmp_path, "", 1).read()
    assert str(caught.value).endswith(
        "the program failed with exit status 1 at `read`: to see why, run"
        f' echo \'{{"name": "NAME"}}\' | {tmp_path}/program preflight'
    )


@pytest.mark.parametrize(
    "answer",
    [
        TOKEN,
        f'"{TOKEN}"',
        "{}",
        "[]",
        "",
        '{"secret": 1}',
        '{"secret": "x", "note": []}',
        '{"secret": "x", "capabilities": "notes"}',
        '{"secret": "x", "capabilities": [1]}',
        '{"secret": "\\ud800"}',
        "[" * 100_000,
        json.dumps({"secret": "x" * 70_000}),
    ],
)
def test_what_is_no_answer_is_no_absent_secret(tmp_path: Path, answer: str) -> None:
    with pytest.raises(StoreUnreachableError, match="no answer of the protocol") as caught:
        answering(tmp_path, answer).read()
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("answer", ["", "{}", '{"secret": null}', '{"secret": ""}'])
def test_absent_is_what_the_exit_status_says_so_of(tmp_path: Path, answer: str) -> None:
    assert answering(tmp_path, answer, Exit.ABSENT).read() == Absent("", Journal())


def test_absent_with_a_secret_is_no_answer(tmp_path: Path) -> None:
    with pytest.raises(StoreUnreachableError):
        answering(tmp_path, '{"secret": "x"}', Exit.ABSENT).read()


def test_an_empty_secret_is_absent(tmp_path: Path) -> None:
    assert isinstance(answering(tmp_path, '{"secret": ""}').read(), Absent)


def test_what_it_prints_without_an_end_is_cut(tmp_path: Path) -> None:
    with pytest.raises(StoreUnreachableError, match="prints more than 1 MiB"):
        store_at(tmp_path, f"exec yes {TOKEN}").read()


def test_a_program_that_does_not_end_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    script = f"sleep {FOREVER} & echo $! >child; wait"
    address = CommandAddress.parse(parse_url(f"command:{program(tmp_path, script)}", tmp_path))
    with pytest.raises(StoreUnreachableError, match="did not end within"):
        StoreProgram(address, patience=0.5).ask(Verb.READ)
    child = tmp_path / "child"
    if child.exists():  # a slow machine may not get so far
        wait_until(lambda: not is_alive(int(child.read_text())))


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that nobody has buried does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_its_time_is_that_of_the_rotation(tmp_path: Path) -> None:
    with TimeBudget(0).spending(), pytest.raises(StoreUnreachableError, match="did not end"):
        store_at(tmp_path, f"sleep {FOREVER}").read()


def test_what_a_program_leaves_running_holds_nobody(tmp_path: Path) -> None:
    store = store_at(tmp_path, f'sleep {FOREVER} & echo $! >child; echo \'{{"secret": "x"}}\'')
    assert isinstance(store.read(), Entry)
    os.kill(int((tmp_path / "child").read_text()), signal.SIGKILL)


def test_a_program_need_not_read_its_request(tmp_path: Path) -> None:
    store = store_at(tmp_path, f'exec <&-; echo \'{{"secret": "x", {BOTH}}}\'')
    with pytest.raises(StoreError):
        store.write("y" * 8192, Journal(), expected="")


@pytest.mark.parametrize(
    ("mode", "text"), [(0o644, "chmod a\\+x"), (0o757, "can change the program")]
)
def test_a_program_of_the_wrong_rights_is_not_run(tmp_path: Path, mode: int, text: str) -> None:
    store = store_at(tmp_path, "echo run >>ran")
    (tmp_path / "program").chmod(mode)
    with pytest.raises(StoreDeniedError, match=text):
        store.read()
    assert not (tmp_path / "ran").exists()


def test_a_program_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreUnreachableError, match="No such file or directory"):
        Backends().open("command:none#NAME", tmp_path).read()


def test_a_folder_is_no_program(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(StoreDeniedError, match="may not be executed"):
        Backends().open("command:none#NAME", tmp_path).read()


def test_a_write_that_does_not_show_is_no_success(tmp_path: Path) -> None:
    store = answering(tmp_path, f'{{"secret": "old", "version": "1", {BOTH}}}')
    with pytest.raises(UnconfirmedWriteError, match="shows the same as before"):
        store.write("new", Journal(), expected="1")
    with pytest.raises(UnconfirmedWriteError, match="shows the same as before"):
        store.note(new_journal(), expected="1")


def test_a_write_whose_note_does_not_show_is_no_success(tmp_path: Path) -> None:
    store = answering(tmp_path, f'{{"secret": "new", "version": "2", {BOTH}}}')
    with pytest.raises(UnconfirmedWriteError, match="and not the note that came with it"):
        store.write("new", new_journal(), expected="1")


def test_a_line_break_behind_the_secret_is_no_part_of_it(tmp_path: Path) -> None:
    file = tmp_path / "token"
    lines = f"""[ "$1" = write ] && sed -n 's/.*"secret": "\\([^"]*\\)".*/\\1/p' >{file}
[ -s {file} ] && printf '{{"secret": "%s\\\\r\\\\n"}}' "$(cat {file})" """
    store = store_at(tmp_path, f"{lines}|| exit 3", f"?folder={tmp_path}")
    secret = new_secret()
    write(store, secret, new_journal())
    entry = store.read()
    assert isinstance(entry, Entry)
    assert entry.secret == secret


def test_what_another_wrote_at_once_is_a_conflict(tmp_path: Path) -> None:
    store = answering(tmp_path, f'{{"secret": "theirs", "version": "2", {BOTH}}}')
    with pytest.raises(ConflictError, match="just after it was written"):
        store.write("new", Journal(), expected="1")


@pytest.mark.parametrize(
    ("capabilities", "lacking"),
    [
        ('["notes"]', "compare-and-set"),
        ('["compare-and-set"]', "notes"),
        ("[]", "compare-and-set and notes"),
    ],
)
def test_a_program_that_lacks_something_is_only_read(
    tmp_path: Path, capabilities: str, lacking: str
) -> None:
    store = answering(tmp_path, f'{{"secret": "old", "capabilities": {capabilities}}}')
    assert read_back(store) == ("old", Journal())
    with pytest.raises(StoreError, match=f"the program lacks {lacking}: name a folder"):
        store.preflight()
    with pytest.raises(StoreError, match="name a folder"):
        store.write("new", Journal(), expected="")
    assert read_back(store) == ("old", Journal())


def test_a_folder_for_a_program_that_needs_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "answer").write_text(f'{{"secret": "old", "version": "1", {BOTH}}}')
    store = store_at(tmp_path, "cat answer", "?folder=.")
    with pytest.raises(StoreError, match="remove folder= from the URL"):
        store.preflight()


@pytest.mark.parametrize("options", ["", "?folder=."])
def test_a_program_that_cannot_remove_a_name_has_no_scratch_place(
    tmp_path: Path, options: str
) -> None:
    (tmp_path / "answer").write_text(f'{{"secret": "old", "version": "1", {BOTH}}}')
    store = store_at(tmp_path, 'echo "$1" >>called; cat answer', options)
    store.read()
    assert isinstance(store, Rehearsable)
    assert store.scratch() is None
    assert (tmp_path / "called").read_text() == "read\n"


def test_a_removal_that_does_not_show_is_no_success(tmp_path: Path) -> None:
    capabilities = BOTH.replace("]", ', "scratch"]')
    store = answering(tmp_path, f'{{"secret": "old", "version": "1", {capabilities}}}')
    scratch = scratch_beside(store)
    with pytest.raises(UnconfirmedWriteError, match="shows the same as before"):
        scratch.remove(Journal(), expected="1")


def assisted(folder: Path, script: str = "") -> SecretStore:
    """Return a store whose journal stands in the folder `rotator`."""
    (folder / "rotator").mkdir(exist_ok=True)
    plain_file = installed("plain_file.sh", folder)
    return store_at(folder, f'{script}\nexec {plain_file} "$@"', "?args=token&folder=rotator")


def test_the_journal_of_a_program_without_notes_is_one_file(tmp_path: Path) -> None:
    store = assisted(tmp_path)
    write(store, "secret", journal := new_journal())
    (file,) = (tmp_path / "rotator").iterdir()
    assert file.name.startswith("program-")
    assert file.suffix == ".json"
    assert journal.token_id
    assert journal.token_id in file.read_text()
    assert "secret" not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) & 0o022 == 0
    assert (tmp_path / "token").read_text() == "secret\n"


@pytest.mark.parametrize("content", ["{", "[]", '{"a": 1}', "[" * 100_000])
def test_a_journal_that_no_rotator_wrote_is_told(tmp_path: Path, content: str) -> None:
    store = assisted(tmp_path)
    write(store, "secret", new_journal())
    (file,) = (tmp_path / "rotator").iterdir()
    file.write_text(content)
    with pytest.raises(StoreUnreachableError, match="no journal that a rotator wrote"):
        store.read()
    assert file.read_text() == content


def test_a_missing_folder_is_no_empty_journal(tmp_path: Path) -> None:
    store = assisted(tmp_path)
    (tmp_path / "rotator").rmdir()
    for act in (store.read, store.preflight, lambda: store.hold().__enter__()):
        with pytest.raises(StoreUnreachableError, match="there is no folder"):
            act()


def test_what_stands_in_the_place_of_the_lock_is_told(tmp_path: Path) -> None:
    store = assisted(tmp_path)
    with store.hold():
        (lock,) = (tmp_path / "rotator").iterdir()
    lock.mkdir()
    with pytest.raises(StoreUnreachableError, match="is no regular file"):
        store.hold().__enter__()


def test_a_write_without_a_comparison_is_looked_at(tmp_path: Path) -> None:
    store = assisted(tmp_path, '[ "$2" = write ] && exit 0')
    with pytest.raises(UnconfirmedWriteError, match="does not show it"):
        store.write("new", Journal(), expected=store.read().version)


def test_a_program_that_compares_is_believed(tmp_path: Path) -> None:
    (tmp_path / "answer").write_text('{"secret": "x", "capabilities": ["compare-and-set"]}')
    script = '[ "$1" = write ] && exit 6; cat answer'
    store = store_at(tmp_path, script, "?folder=.")
    with pytest.raises(ConflictError, match="keeps changing"):
        store.write("new", Journal(), expected=store.read().version)


WRITING = """
import sys
from pathlib import Path
from rotator.stores.journal import Journal
from rotator.stores.registry import Backends

store = Backends().open("command:program?args=token&folder=rotator#NAME", Path())
with store.hold():
    store.write("late", Journal(), expected=store.read().version)
"""


def test_a_program_that_outlives_its_rotator_keeps_the_lock(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    # It has the whole request before its rotator dies.
    waits = "cat >request; : >begun; read -r _ <gate; exec <request"
    store = assisted(tmp_path, f'if [ "$2" = write ]; then {waits}; fi')
    rotator = subprocess.Popen([sys.executable, "-c", WRITING], cwd=tmp_path)
    wait_until((tmp_path / "begun").exists)
    rotator.kill()
    rotator.wait()
    assert store.held_elsewhere()
    (tmp_path / "gate").write_text("go\n")
    wait_until(lambda: not store.held_elsewhere())
    assert read_back(store)[0] == "late"
    with store.hold():
        pass


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("command:~/store", "the path of a program"),
        ("command:bin/", "the path of a program"),
        ("command://host/store", "a program of this machine"),
        ("command:store?arg=x", "take the options args, folder, found"),
        ("command:store#NAME?args=x", "stand before the `#`"),
        ("command:store?args=a%00b", "no control characters"),
        ("command:store?folder=$HOME", "a folder after folder="),
    ],
)
def test_a_mistake_in_a_url_is_told(tmp_path: Path, url: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        Backends().open(url, tmp_path)


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("command:bin/store", "command:{}/bin/store#NOCTURNA_SERVICE_TOKEN"),
        ("command:///bin/store#A", "command:/bin/store#A"),
        ("command:/bin/store?args=a++b%2Bc%26d#x/y", "command:/bin/store?args=a+b%2Bc%26d#x/y"),
        ("command:/bin/my%20store?folder=/srv#A", "command:/bin/my%20store#A"),
    ],
)
def test_a_url_has_one_form(tmp_path: Path, url: str, canonical: str) -> None:
    store = Backends().open(url, tmp_path)
    assert store.url == canonical.format(tmp_path)
    assert Backends().open(store.url, tmp_path).url == store.url


def test_stores_of_one_program_share_a_journal(tmp_path: Path) -> None:
    (tmp_path / "rotator").mkdir()
    program(tmp_path, f'[ "$1" = read ] && exit {Exit.ABSENT}')
    for name in ("A", "B"):
        url = f"command:program?folder=rotator#{name}"
        store = Backends().open(url, tmp_path)
        store.note(new_journal(), expected=store.read().version)
    (file,) = (tmp_path / "rotator").iterdir()
    assert {key.split(":")[1] for key in json.loads(file.read_text())} == {"A", "B"}

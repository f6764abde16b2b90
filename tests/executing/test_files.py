"""`rotator exec --file`: the secret as a file in memory."""

import os
import signal
import stat
from pathlib import Path

import pytest

from rotator.cli.exec.runtime_folder import is_in_memory
from tests.executing.conftest import permitted
from tests.executing.helpers import SOON, child_of, count, has, put
from tests.support.process import Runner
from tests.support.sandbox import Sandbox

SHOW = 'echo "has $(sha256sum < "$NOCTURNA_SERVICE_TOKEN_FILE" | cut -c1-12)" >&2'
SLEEP = ("--", "sh", "-c", f"{SHOW}; exec sleep 1000")
ON_HUP = ("--", "sh", "-c", f"trap '{SHOW}' HUP; {SHOW}; while :; do sleep 0.1; done")
PATH = 'echo "$NOCTURNA_SERVICE_TOKEN_FILE"'
MODES = f'{SHOW}; cd "${{NOCTURNA_SERVICE_TOKEN_FILE%/*}}"; stat -c "%a" . *; pwd; env'


def test_only_the_owner_reads_the_file_and_the_environment_names_it(
    rotator: Runner, api: Sandbox, memory: Path
) -> None:
    put(rotator, secret := api.issue(days=60))
    result = rotator("exec", "--file", "--", "sh", "-c", MODES, XDG_RUNTIME_DIR=str(memory))
    folder_mode, file_mode, folder, *environment = result.out.splitlines()
    assert result.err == f"{has(secret)}\n"
    assert (folder_mode, file_mode) == ("700", "400")
    assert Path(folder).parent == memory
    assert f"NOCTURNA_SERVICE_TOKEN_FILE={folder}/NOCTURNA_SERVICE_TOKEN" in environment
    assert not [line for line in environment if line.startswith("NOCTURNA_SERVICE_TOKEN=")]
    assert list(memory.iterdir()) == []


def test_a_change_replaces_the_file_and_nothing_else(
    rotator: Runner, api: Sandbox, memory: Path
) -> None:
    put(rotator, api.issue(days=60))
    with rotator.started("exec", *SOON, "--file", *SLEEP, XDG_RUNTIME_DIR=str(memory)) as running:
        running.wait_for("has ")
        (path,) = memory.glob("*/NOCTURNA_SERVICE_TOKEN")
        before = path.stat()
        put(rotator, new := api.issue(days=61))
        running.wait_for("its file is replaced")
        assert path.read_text() == new
        assert path.stat().st_ino != before.st_ino
        assert stat.S_IMODE(path.stat().st_mode) == 0o400
        assert running.stop() == 143
    assert count(running, "has ") == 1
    assert list(memory.iterdir()) == []


def test_a_signal_tells_of_the_replaced_file(rotator: Runner, api: Sandbox, memory: Path) -> None:
    put(rotator, api.issue(days=60))
    options = (*SOON, "--file", "--signal", "HUP")
    with rotator.started("exec", *options, *ON_HUP, XDG_RUNTIME_DIR=str(memory)) as running:
        running.wait_for("has ")
        child = child_of(running)
        put(rotator, new := api.issue(days=61))
        running.wait_for(has(new))
        assert child_of(running) == child
        assert running.stop() == 143


def test_a_restart_may_be_wanted_beside_the_file(
    rotator: Runner, api: Sandbox, memory: Path
) -> None:
    put(rotator, api.issue(days=60))
    options = (*SOON, "--file", "--restart")
    with rotator.started("exec", *options, *SLEEP, XDG_RUNTIME_DIR=str(memory)) as running:
        running.wait_for("has ")
        put(rotator, new := api.issue(days=61))
        running.wait_for(has(new))
        assert running.stop() == 143


def test_a_file_that_cannot_be_replaced_is_tried_again(
    rotator: Runner, api: Sandbox, memory: Path
) -> None:
    put(rotator, api.issue(days=60))
    options = (*SOON, "--poll", "1s", "--file", "--signal", "HUP")
    with rotator.started("exec", *options, *ON_HUP, XDG_RUNTIME_DIR=str(memory)) as running:
        running.wait_for("has ")
        (path,) = memory.glob("*/NOCTURNA_SERVICE_TOKEN")
        obstacle = path.with_name(f".{path.name}.new")
        obstacle.mkdir()
        put(rotator, new := api.issue(days=61))
        running.wait_for("its file cannot be replaced (Is a directory); the next look tries again")
        obstacle.rmdir()
        running.wait_for(has(new))
        running.stop()
    assert count(running, "has ") == 2


def test_a_signal_without_a_file_is_refused(rotator: Runner) -> None:
    result = rotator("exec", "--signal", "HUP", "--", "true")
    assert result.status == 2
    assert "found --signal without --file" in result.err
    assert result.err.count("\n") == 1


def test_a_time_that_the_system_cannot_wait_is_refused(rotator: Runner) -> None:
    result = rotator("exec", "--poll", "200000d", "--", "true")
    assert result.status == 2
    assert "found '200000d', expected 365d at most" in result.err


def test_what_a_killed_one_left_is_swept_and_what_a_living_one_has_is_not(
    rotator: Runner, api: Sandbox, memory: Path
) -> None:
    put(rotator, api.issue(days=60))
    there = {"XDG_RUNTIME_DIR": str(memory)}
    with rotator.started("exec", "--file", *SLEEP, **there) as living:
        living.wait_for("has ")
        (kept,) = memory.iterdir()
        with rotator.started("exec", "--file", *SLEEP, **there) as killed:
            killed.wait_for("has ")
            orphan = child_of(killed)
            killed.process.kill()
            killed.process.wait()
            os.kill(orphan, signal.SIGKILL)
        assert len(list(memory.iterdir())) == 2
        assert rotator("exec", "--file", "--", "true", **there).status == 0
        assert list(memory.iterdir()) == [kept]
        living.stop()


@pytest.mark.usefixtures("memory")
def test_a_folder_on_a_disk_is_passed_over(rotator: Runner, api: Sandbox) -> None:
    put(rotator, api.issue(days=60))
    disk = str(rotator.folder)
    result = rotator("exec", "--file", "--", "sh", "-c", PATH, XDG_RUNTIME_DIR=disk)
    assert result.err == ""
    assert is_in_memory(Path(result.out.strip()).parents[1])


@pytest.mark.skipif(not permitted("--mount"), reason="no right to mounts of its own")
def test_a_disk_is_used_with_a_warning_where_there_is_nothing_else(
    rotator: Runner, api: Sandbox
) -> None:
    put(rotator, api.issue(days=60))
    hide = "mount --bind . /dev/shm && mount --bind . /run"
    line = f"unshare --mount sh -c '{hide}; rotator exec --file -- sh -c \"$1\"' - '{PATH}'"
    result = rotator.in_shell(f"XDG_RUNTIME_DIR= TMPDIR=$PWD {line}")
    assert result.out.startswith(str(rotator.folder))
    assert result.err.startswith("rotator: warning: no folder in memory")
    assert result.err.count("\n") == 1

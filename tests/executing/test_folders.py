"""The folders of `rotator exec`: those that it watches, and the one that it makes."""

import os
from pathlib import Path

import pytest

from rotator.cli.exec.runtime_folder import parent_folder
from rotator.cli.exec.store_poller import FileWatcher
from tests.executing.conftest import permitted
from tests.executing.helpers import put
from tests.support.process import Runner
from tests.support.sandbox import Sandbox


def test_a_folder_that_was_made_anew_is_watched_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "store" / ".env"
    watcher = FileWatcher([file])
    file.parent.mkdir()
    watcher.follow()
    file.parent.rmdir()
    file.parent.mkdir()  # on many file systems with the inode of the one before
    for _ in range(1000):  # the kernel may not have told of the first folder's end yet
        watcher.follow()
        file.write_text("A=1\n")
        if watcher.wait(0.1):
            break
    else:
        pytest.fail("nobody was told of the new folder's file")
    assert [record for record in caplog.records if record.name.startswith("watchdog")] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")
def test_a_runtime_directory_of_somebody_else_is_passed_over(memory: Path) -> None:
    there = {"XDG_RUNTIME_DIR": str(memory)}
    assert parent_folder(there) == memory
    os.chown(memory, 65534, 65534)  # as `sudo` may leave the variable in place
    assert parent_folder(there) != memory


@pytest.mark.skipif(not permitted("--mount"), reason="no right to mounts of its own")
def test_without_any_folder_to_write_to_the_program_is_not_started(
    rotator: Runner, api: Sandbox
) -> None:
    put(rotator, api.issue(days=60))
    closed = "for place in /dev/shm /run /var/tmp /usr/tmp /tmp; do test ! -d $place || {"
    closed += " mount --bind $place $place && mount -o remount,bind,ro $place; }; done"
    closed += "; unset COVERAGE_PROCESS_CONFIG"  # which has nowhere to write to, either
    script = f'{closed}; cd "$PWD" && exec rotator exec --file -- echo started'
    result = rotator.in_shell(f"XDG_RUNTIME_DIR= unshare --mount sh -c '{script}'")
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith("rotator: exec: no folder can be made for the secret's file (")
    assert result.err.endswith("mount a tmpfs at /dev/shm, or set TMPDIR\n")
    assert result.err.count("\n") == 1

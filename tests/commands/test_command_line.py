import os
import pty
import subprocess
from pathlib import Path

import pytest

from rotator import __version__
from rotator.sandbox import Sandbox
from tests.support.process import ROTATOR, Runner

COMMANDS = ["check", "rotate", "mint", "daemon", "demo", "completion"]


def test_the_version_is_told(rotator: Runner) -> None:
    assert rotator("--version").out == f"rotator, version {__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(rotator: Runner, command: str) -> None:
    result = rotator(command, "--help")
    assert result.status == 0
    assert result.out.startswith(f"Usage: rotator {command} ")
    assert command in rotator("--help").out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed(rotator: Runner, shell: str) -> None:
    assert "_ROTATOR_COMPLETE" in rotator("completion", shell).out


def test_names_of_tokens_are_completed(rotator: Runner) -> None:
    text = '[[token]]\nname="luna-bot"\nstores=["dotenv:a.env"]\n'
    (rotator.folder / "rotator.toml").write_text(text)
    asked = {
        "_ROTATOR_COMPLETE": "bash_complete",
        "COMP_WORDS": "rotator check lu",
        "COMP_CWORD": "2",
    }
    assert rotator(ROTATOR_STORE="", **asked).out == "plain,luna-bot\n"


def test_wrong_settings_complete_nothing(rotator: Runner) -> None:
    asked = {
        "_ROTATOR_COMPLETE": "bash_complete",
        "COMP_WORDS": "rotator check ",
        "COMP_CWORD": "2",
    }
    assert rotator(ROTATOR_VALIDITY="never", **asked).out.strip() == ""


def test_a_terminal_gets_a_table(rotator: Runner, api: Sandbox, tmp_path: Path) -> None:
    rotator.write_env(api.issue(days=60))
    screen = on_a_terminal(rotator, tmp_path, "check")
    assert "token" in screen.splitlines()[0]
    assert "default" in screen
    assert "60 days" in screen
    assert "\x1b[32mok" in screen


def test_a_terminal_is_told_what_is_wrong(rotator: Runner, api: Sandbox, tmp_path: Path) -> None:
    rotator.write_env(api.issue(days=-3))
    screen = on_a_terminal(rotator, tmp_path, "check")
    assert "default: expired – expired 3 days ago" in screen


def test_a_reader_that_leaves_is_no_traceback(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue(days=60))
    read, write = os.pipe()
    os.close(read)
    env = {**os.environ, **rotator.env}
    result = subprocess.run(
        [ROTATOR, "check"],
        cwd=rotator.folder,
        env=env,
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(write)
    assert (result.returncode, result.stderr) == (1, b"")


def on_a_terminal(rotator: Runner, folder: Path, *arguments: str) -> str:
    mine, theirs = pty.openpty()
    env = {**os.environ, **rotator.env, "TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen([ROTATOR, *arguments], cwd=folder, env=env, stdout=theirs) as process:
        process.wait(30)
    os.close(theirs)
    screen = os.read(mine, 65536).decode()
    os.close(mine)
    rotator.transcript.add("a terminal", screen)
    return screen

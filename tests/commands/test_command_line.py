import os
import pty
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from rotator import __version__
from tests.support.process import ROTATOR, Runner
from tests.support.sandbox import Fault, Sandbox
from tests.support.waiting import PATIENCE

COMMANDS = ["check", "status", "rotate", "mint", "daemon", "exec", "access-token"]
COMMANDS += ["doctor", "tokens", "demo", "completion"]


def test_the_version_is_told(rotator: Runner) -> None:
    assert rotator("--version").out == f"rotator, version {__version__}\n"


@pytest.mark.sample(5)
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(rotator: Runner, command: str) -> None:
    result = rotator.installed(command, "--help")
    assert result.status == 0
    assert result.out.startswith(f"Usage: rotator {command} ")
    assert f"  {command} " in rotator("--help").out


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


def test_names_of_tokens_are_completed_from_the_config_that_is_named(rotator: Runner) -> None:
    text = '[[token]]\nname="luna-bot"\nstores=["dotenv:a.env"]\n'
    (rotator.folder / "other.toml").write_text(text)
    words = "rotator check --config other.toml lu"
    asked = {"_ROTATOR_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": "4"}
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
    assert "over for 3 days" in screen
    rotator.write_env("changeme")
    screen = on_a_terminal(rotator, tmp_path, "check")
    assert "default: invalid – " in screen


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
    assert (result.returncode, result.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("redirection", "status", "said"),
    [
        (">&-", 0, ""),
        ("2>&-", 0, ""),
        (">/dev/full", 1, "rotator: the results could not be written (No space left on device)"),
    ],
)
def test_output_that_nobody_takes_does_not_hide_what_happened(
    rotator: Runner, api: Sandbox, redirection: str, status: int, said: str
) -> None:
    old = api.issue(days=3)
    rotator.write_env(old)
    result = rotator.in_shell(f"rotator rotate {redirection}")
    assert (result.status, result.err.partition(";")[0].strip()) == (status, said)
    assert old not in rotator.env_file.read_text()


def test_stderr_that_nobody_takes_does_not_hide_the_results(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue(days=3))
    rotator.env["ROTATOR_STORE"] = "dotenv:.env dotenv:nowhere/.env"
    result = rotator.in_shell("rotator rotate --json 2>/dev/full")
    assert (result.status, result.json[0]["action"]) == (1, "rotated")


def test_a_folder_that_is_gone_is_told_in_a_line(rotator: Runner) -> None:
    result = rotator.in_shell("mkdir gone && cd gone && rmdir ../gone && rotator check")
    assert result.status == 3
    assert result.err == "rotator: the current folder is gone: change to another one\n"


def test_a_name_cannot_steer_the_terminal(rotator: Runner, api: Sandbox) -> None:
    folder = Path(tempfile.mkdtemp())  # pytest's own are closed to others
    folder.chmod(0o755)
    target = folder / "\x1b[31m\u202eevil"
    target.write_text(f"NOCTURNA_SERVICE_TOKEN={api.issue(3)}\n")
    target.chmod(0o604)
    rotator.env_file.symlink_to(target)
    result = rotator("rotate")
    assert result.status == 0
    assert "readable by every user" in result.err
    assert not {"\x1b", "\u202e"} & set(result.out + result.err)
    shutil.rmtree(folder)


def test_a_terminal_that_knows_only_ascii_is_no_failure(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue(days=60))
    result = rotator("check", PYTHONIOENCODING="ascii")
    assert (result.status, result.err) == (0, "")


def test_a_wrong_call_is_one_line(rotator: Runner) -> None:
    result = rotator("rotate", "--jsn")
    assert result.status == 2
    assert result.err.count("\n") == 1
    assert result.err.endswith("see rotator rotate --help\n")


def test_no_command_is_answered_with_help(rotator: Runner) -> None:
    result = rotator()
    assert result.status == 2
    assert "Commands:" in result.err


def test_a_long_run_on_a_terminal_shows_one_bar_and_takes_it_away(
    rotator: Runner, api: Sandbox, tmp_path: Path
) -> None:
    tables = [f'[[token]]\nname="t{n}"\nstores=["dotenv:{n}.env"]\n' for n in range(40)]
    (rotator.folder / "rotator.toml").write_text("".join(tables))
    del rotator.env["ROTATOR_STORE"]
    api.misbehave(Fault.delay(0.5), "POST /auth/admin/service-tokens", times=None)
    screen = on_a_terminal(rotator, tmp_path, "rotate", errors_too=True)
    assert "40 rotated" in screen
    assert screen.count("\x1b[?25l") == screen.count("\x1b[?25h") == 1


def on_a_terminal(rotator: Runner, folder: Path, *arguments: str, errors_too: bool = False) -> str:
    mine, theirs = pty.openpty()
    env = {**os.environ, **rotator.env, "TERM": "xterm", "COLUMNS": "120"}
    err = theirs if errors_too else None
    with subprocess.Popen(
        [ROTATOR, *arguments], cwd=folder, env=env, stdout=theirs, stderr=err
    ) as process:
        os.close(theirs)
        screen = "".join(_read(mine))
        process.wait(PATIENCE)
    os.close(mine)
    rotator.transcript.add("a terminal", screen)
    return screen


def _read(terminal: int) -> Iterator[str]:
    with suppress(OSError):  # Linux says EIO when the other side is gone
        while chunk := os.read(terminal, 65536):
            yield chunk.decode(errors="replace")


@pytest.mark.parametrize(
    "command",
    ["check", "status", "rotate", "mint", "daemon", "tokens list", "access-token", "doctor"],
)
def test_a_folder_without_settings_is_told_as_such(rotator: Runner, command: str) -> None:
    nothing = dict.fromkeys(rotator.env, "")
    result = rotator(*command.split(), **nothing)
    assert result.status == (3 if command == "check" else 2)
    assert "rotator.toml" in result.err + result.out
    assert "there is none here" in result.err + result.out

"""`rotator exec` as a process: what its program gets, and what becomes of it at a change."""

import os
import signal
from pathlib import Path

import pytest

from tests.executing.helpers import BOT, SHOW, SOON, STUBBORN, alive, child_of, count, has, put
from tests.support.process import Runner
from tests.support.sandbox import Sandbox
from tests.support.waiting import PATIENCE


def stored(rotator: Runner) -> str:
    return rotator.env_file.read_text().partition("NOCTURNA_SERVICE_TOKEN=")[2].split()[0]


def test_a_rotation_restarts_the_program_with_the_new_token(rotator: Runner, api: Sandbox) -> None:
    put(rotator, api.issue(days=3))
    with rotator.started("exec", *SOON, *BOT) as running:
        running.wait_for(has(stored(rotator)))
        assert rotator("rotate").status == 0
        running.wait_for(has(stored(rotator)))
        assert running.stop() == 143
    assert count(running, "has ") == 2
    assert count(running, "the program is restarted") == 1


def test_it_needs_neither_the_api_nor_an_admin(rotator: Runner, api: Sandbox) -> None:
    put(rotator, api.issue(days=60))
    rotator.env = {"ROTATOR_STORE": "dotenv:.env"}
    assert rotator("exec", "--", "true").status == 0
    assert api.calls == []


def test_the_program_gets_no_settings_of_the_rotator(rotator: Runner, api: Sandbox) -> None:
    put(rotator, api.issue(days=60))
    script = "env | grep -oE '^(NOCTURNA|ROTATOR|VAULT)[^=]*' | sort"
    stale = {"NOCTURNA_SERVICE_TOKEN": "old", "NOCTURNA_SERVICE_TOKEN_FILE": "old"}
    result = rotator("exec", "--", "sh", "-c", script, VAULT_TOKEN="kept", **stale)
    assert result.out.split() == ["NOCTURNA_API_URL", "NOCTURNA_SERVICE_TOKEN", "VAULT_TOKEN"]


def test_the_secret_is_in_no_command_line(rotator: Runner, api: Sandbox) -> None:
    put(rotator, secret := api.issue(days=60))
    with rotator.started("exec", "--file", *BOT) as running:
        running.wait_for("has ")
        lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")]
        running.stop()
    assert len(lines) > 1
    assert not [line for line in lines if secret.encode() in line]


@pytest.mark.parametrize(
    ("program", "status", "said"),
    [
        (("sh", "-c", "exit 7"), 7, ""),
        (("sh", "-c", "kill -KILL $$"), 137, ""),
        (("no-such-program",), 127, "rotator: error: exec: no-such-program: there is no such"),
        (("",), 127, "rotator: error: exec: '': there is no such program"),
        (("/",), 126, "rotator: error: exec: /: it cannot be started (Permission denied)"),
        ((), 2, "rotator: exec: found no program, expected one behind --"),
    ],
    ids=["code", "signal", "not found", "empty", "not executable", "none"],
)
def test_the_exit_status_is_that_of_the_program(
    rotator: Runner, api: Sandbox, program: tuple[str, ...], status: int, said: str
) -> None:
    put(rotator, api.issue(days=60))
    result = rotator("exec", "--", *program)
    assert result.status == status
    assert result.err.startswith(said)
    assert result.err.count("\n") == bool(said)


def test_what_stands_behind_the_dashes_is_the_programs(rotator: Runner, api: Sandbox) -> None:
    put(rotator, api.issue(days=60))
    assert rotator("exec", "--", "echo", "--help", "--", "--poll").out == "--help -- --poll\n"


def test_two_tokens_have_a_variable_each(rotator: Runner, api: Sandbox) -> None:
    config = "".join(
        f'[[token]]\nname = "{name}"\nstores = ["dotenv:{name}.env"]\n' for name in ("luna", "sol")
    )
    (rotator.folder / "rotator.toml").write_text(config)
    del rotator.env["ROTATOR_STORE"]
    put(rotator, api.issue(days=60), "luna.env")
    put(rotator, sol := api.issue(days=61), "sol.env")
    script = f"NOCTURNA_SERVICE_TOKEN=$LUNA; {SHOW}; NOCTURNA_SERVICE_TOKEN=$SOL; {SHOW}"
    program = ("--", "sh", "-c", f"{script}; exec sleep 1000")
    assert "expected a variable for each" in rotator("exec", *program).err
    named = ("--env", "luna=LUNA", "--env", "sol=SOL")
    with rotator.started("exec", *named, *SOON, *program) as running:
        running.wait_for(has(sol))
        put(rotator, luna := api.issue(days=62), "luna.env")
        assert "luna: token" in running.wait_for("the program is restarted")
        running.wait_for(has(luna))
        running.stop()


def test_a_program_that_dies_after_its_restart_is_not_started_again(
    rotator: Runner, api: Sandbox
) -> None:
    put(rotator, api.issue(days=60))
    script = f"{SHOW}; test -e second && exit 9; touch second; exec sleep 1000"
    with rotator.started("exec", *SOON, "--", "sh", "-c", script) as running:
        running.wait_for("has ")
        put(rotator, api.issue(days=61))
        assert running.process.wait(PATIENCE) == 9


@pytest.mark.parametrize("days", [None, -1.0], ids=["absent", "expired"])
def test_no_live_token_at_the_start_is_exit_status_1(
    rotator: Runner, api: Sandbox, days: float | None
) -> None:
    if days is not None:
        put(rotator, api.issue(days))
    result = rotator("exec", "--", "echo", "started")
    assert (result.status, result.out, result.err.count("\n")) == (1, "", 1)
    assert "rotator rotate makes a new one" in result.err


def test_a_program_that_ignores_sigterm_is_killed_after_the_grace(
    rotator: Runner, api: Sandbox
) -> None:
    put(rotator, api.issue(days=60))
    with rotator.started("exec", *SOON, "--grace", "1s", *STUBBORN) as running:
        running.wait_for("has ")
        put(rotator, new := api.issue(days=61))
        running.wait_for("it is killed")
        running.wait_for(has(new))
        os.kill(child_of(running), signal.SIGKILL)
        assert running.process.wait(PATIENCE) == 137


def test_a_restart_ends_all_that_the_program_started(rotator: Runner, api: Sandbox) -> None:
    put(rotator, api.issue(days=60))
    script = f"sleep 1000 & echo $! >> workers; {SHOW}; wait"
    with rotator.started("exec", *SOON, "--", "sh", "-c", script) as running:
        running.wait_for("has ")
        put(rotator, new := api.issue(days=61))
        running.wait_for(has(new))
        first, second = map(int, (rotator.folder / "workers").read_text().split())
        assert not alive(first)
        os.kill(second, signal.SIGKILL)
        running.stop()


def test_two_changes_at_once_are_one_restart(rotator: Runner, api: Sandbox) -> None:
    put(rotator, api.issue(days=60))
    with rotator.started("exec", *SOON, *BOT) as running:
        running.wait_for("has ")
        put(rotator, api.issue(days=61))
        put(rotator, last := api.issue(days=62))
        running.wait_for(has(last))
        running.stop()
    assert count(running, "has ") == 2


def test_a_store_that_is_away_leaves_the_program_its_token(rotator: Runner, api: Sandbox) -> None:
    (rotator.folder / "store").mkdir()
    put(rotator, api.issue(days=60), "store/.env")
    rotator.env["ROTATOR_STORE"] = "dotenv:store/.env"
    with rotator.started("exec", *SOON, "--poll", "1s", *BOT) as running:
        running.wait_for("has ")
        (rotator.folder / "store").rename(rotator.folder / "away")
        assert "there is no folder" in running.wait_for("goes on with the token that it has")
        (rotator.folder / "away").rename(rotator.folder / "store")
        running.wait_for("its stores are in order again")
        put(rotator, "nonsense", "store/.env")
        running.wait_for("the value is not a JWT")
        put(rotator, new := api.issue(days=61), "store/.env")
        running.wait_for(has(new))
        running.stop()
    assert count(running, "goes on with") == 2
    assert count(running, "has ") == 2


def test_a_mounted_secret_that_is_replaced_by_a_link_is_noticed(
    rotator: Runner, api: Sandbox
) -> None:
    for name, days in (("1", 60), ("2", 61)):
        (rotator.folder / name).mkdir()
        put(rotator, api.issue(days), f"{name}/.env")
    (rotator.folder / "..data").symlink_to("1")
    rotator.env_file.symlink_to("..data/.env")
    with rotator.started("exec", *SOON, *BOT) as running:
        running.wait_for("has ")
        (rotator.folder / "..new").symlink_to("2")
        (rotator.folder / "..new").replace(rotator.folder / "..data")
        running.wait_for(has(stored(rotator)))
        running.stop()


def test_the_program_has_our_files_and_no_others(rotator: Runner, api: Sandbox) -> None:
    put(rotator, api.issue(days=60))
    result = rotator("exec", "--", "sh", "-c", "ls -l /proc/$$/fd")
    assert "inotify" not in result.out
    assert result.out.count(" -> ") == 3

"""`rotator rotate` from outside: exit statuses, output, and a `.env` that other programs read."""

import json
import signal

import pytest
from dotenv import dotenv_values

from tests.support.process import Runner
from tests.support.sandbox import Fault, Sandbox
from tests.support.waiting import PATIENCE, wait_until
from tests.support.world import LOGIN, MINT

CALL_MINT = "POST /auth/admin/service-tokens"


def secret(rotator: Runner) -> str:
    return dotenv_values(rotator.env_file)["NOCTURNA_SERVICE_TOKEN"] or ""


def test_a_due_token_is_rotated_and_other_programs_read_it(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue(days=3), before="# Luna\nexport A='1'\n")
    result = rotator("rotate")
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith("default: rotated (expiring) – new token ")
    assert api.accepts(secret(rotator))
    assert (
        rotator.in_shell(f'. ./.env; [ "$NOCTURNA_SERVICE_TOKEN" = {secret(rotator)} ]').status == 0
    )
    assert rotator("check").status == 0


def test_a_second_run_keeps_the_token(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue(days=3))
    rotator("rotate")
    result = rotator("rotate", "--json")
    assert (result.status, result.json[0]["action"]) == (0, "kept")
    assert api.calls.count(MINT) == 1


def test_json_lines_are_the_objects_of_the_array_one_by_one(rotator: Runner) -> None:
    (rotator.folder / "rotator.toml").write_text(
        "".join(f"[[token]]\nname = '{n}'\nstores = ['dotenv:{n}/.env']\n" for n in ("a", "b"))
    )
    (rotator.folder / "a").mkdir()
    del rotator.env["ROTATOR_STORE"]
    result = rotator("rotate", "--json-lines", "--log-format", "json")
    assert result.status == 1  # there is no folder b
    lines = [json.loads(line) for line in result.out.splitlines()]
    assert [(each["name"], each["action"]) for each in lines] == [("a", "rotated"), ("b", "failed")]
    assert [json.loads(line) for line in result.err.splitlines()]
    checked = rotator("check", "--json-lines")
    assert next(json.loads(each) for each in checked.out.splitlines())["status"] == "ok"
    array = rotator("check", "--json").json
    assert [each.keys() for each in lines] == [each.keys() for each in array]


def test_three_variables_and_a_store_are_enough(rotator: Runner, api: Sandbox) -> None:
    assert set(rotator.env) == {
        "NOCTURNA_API_URL",
        "NOCTURNA_ADMIN_EMAIL",
        "NOCTURNA_ADMIN_PASSWORD_FILE",
        "ROTATOR_STORE",
    }
    assert rotator("rotate").status == 0
    assert api.accepts(secret(rotator))
    assert rotator.env_file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("days", "status"), [(3, 3), (60, 0)], ids=["due", "fine"])
def test_a_detailed_exit_status_tells_whether_something_changed(
    rotator: Runner, api: Sandbox, days: int, status: int
) -> None:
    rotator.write_env(api.issue(days=days))
    assert rotator("rotate", "--dry-run", "--detailed-exitcode").status == status
    assert rotator("rotate", "--detailed-exitcode").status == status


def test_a_dry_run_changes_nothing(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue(days=3))
    before = rotator.env_file.read_bytes()
    result = rotator("rotate", "--dry-run")
    assert result.status == 0
    assert result.out.startswith("default: would-rotate – expires in 3 days")
    assert str(rotator.env_file) in result.out
    assert rotator.env_file.read_bytes() == before
    assert len(api.live_tokens()) == 1


def test_a_dry_run_tries_the_password(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue(days=3))
    (rotator.folder / "admin-password").write_text("wrong")
    result = rotator("rotate", "--dry-run")
    assert (result.status, result.out) == (1, "")
    assert "refuses this e-mail and password" in result.err


def test_a_plain_run_removes_what_a_killed_one_left(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue(days=60))
    leftovers = [f".env.{16 * 'a'}.rotator-tmp", ".env.rotator-lock"]
    for name in leftovers:
        (rotator.folder / name).write_text("x")
    assert rotator("rotate").status == 0
    assert not [name for name in leftovers if (rotator.folder / name).exists()]


def test_force_rotates_a_fine_token(rotator: Runner, api: Sandbox) -> None:
    old = api.issue(days=60)
    rotator.write_env(old)
    result = rotator("rotate", "--force", "--json")
    assert (result.status, result.json[0]["action"]) == (0, "rotated")
    assert secret(rotator) != old


def test_a_token_minted_just_now_is_renewed_when_it_is_refused(
    rotator: Runner, api: Sandbox
) -> None:
    rotator("rotate")
    api.revoke(api.live_tokens()[0].id)
    result = rotator("rotate", "--json")
    assert (result.status, result.json[0]["action"]) == (0, "rotated")
    assert api.accepts(secret(rotator))


def test_a_wrong_password_fails_in_one_line(rotator: Runner, api: Sandbox) -> None:
    old = api.issue(days=3)
    rotator.write_env(old)
    (rotator.folder / "admin-password").write_text("wrong")
    result = rotator("rotate")
    assert result.status == 1
    assert result.err.count("\n") == 1
    assert result.err.startswith(
        "rotator: error: default: log in: the API refuses this e-mail and pass"
    )
    assert secret(rotator) == old


def test_a_fleet_with_a_wrong_password_tries_it_once(rotator: Runner, api: Sandbox) -> None:
    tables = [f'[[token]]\nname="t{n}"\nstores=["dotenv:{n}.env"]\n' for n in range(30)]
    (rotator.folder / "rotator.toml").write_text("".join(tables))
    del rotator.env["ROTATOR_STORE"]
    (rotator.folder / "admin-password").write_text("wrong")
    result = rotator("rotate")
    assert result.status == 1
    (line,) = result.err.splitlines()
    assert "; the same with 29 others: t1, t2, " in line
    assert api.calls == [("POST", "/auth/login", 401)]


def test_a_fleet_logs_in_once(rotator: Runner, api: Sandbox) -> None:
    tables = [f'[[token]]\nname="t{n}"\nstores=["dotenv:{n}.env"]\n' for n in range(30)]
    (rotator.folder / "rotator.toml").write_text("".join(tables))
    del rotator.env["ROTATOR_STORE"]
    result = rotator("rotate", "--json")
    assert result.status == 0
    assert [report["name"] for report in result.json] == [f"t{n}" for n in range(30)]
    assert api.calls.count(LOGIN) == 1


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("NOCTURNA_API_URL", ""),
        ("NOCTURNA_API_URL", "http://nocturna.example/api"),
        ("NOCTURNA_ADMIN_EMAIL", ""),
        ("NOCTURNA_ADMIN_PASSWORD_FILE", ""),
        ("NOCTURNA_ADMIN_PASSWORD_FILE", "/nonexistent"),
        ("ROTATOR_STORE", ""),
        ("ROTATOR_STORE", "dotenv:.env dotenv:./.env"),
        ("ROTATOR_STORE", "floppy:a"),
        ("ROTATOR_VALIDITY", "366d"),
        ("ROTATOR_RENEW_BEFORE", "90d"),
    ],
)
def test_a_mistake_in_the_settings_is_one_line_and_exit_status_2(
    rotator: Runner, api: Sandbox, variable: str, value: str
) -> None:
    result = rotator("rotate", **{variable: value})
    assert (result.status, result.out) == (2, "")
    assert result.err.count("\n") == 1
    assert variable in result.err
    assert api.calls == []


def test_wrong_usage_is_exit_status_2(rotator: Runner) -> None:
    result = rotator("rotate", "--nonsense")
    assert result.status == 2
    assert "No such option" in result.err


def test_a_lost_answer_fails_and_says_what_may_be_left(rotator: Runner, api: Sandbox) -> None:
    old = api.issue(days=3)
    rotator.write_env(old)
    api.misbehave(Fault.reset_after(), CALL_MINT)
    result = rotator("rotate")
    assert result.status == 1
    assert "a token may have been made all the same" in result.err
    assert secret(rotator) == old


def test_a_signal_lets_the_rotation_in_hand_finish(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue(days=3))
    api.misbehave(Fault.delay(1.0), CALL_MINT)
    with rotator.started("rotate") as running:
        wait_until(lambda: MINT in api.calls or LOGIN in api.calls)
        running.process.send_signal(signal.SIGINT)
        assert running.wait_for("stopping") == (
            "rotator: warning: stopping: a rotation in hand is finished first\n"
        )
        assert running.stop(signal.SIGTERM) == 0
        assert len(running.lines) == 1
    assert api.accepts(secret(rotator))
    assert len(api.live_tokens()) == 2


@pytest.mark.long  # tests/commands/test_races.py has twenty that are forked
def test_twenty_at_once_mint_one_token(rotator: Runner, api: Sandbox) -> None:
    old = api.issue(days=3)
    rotator.write_env(old)
    runs = [rotator.started("rotate") for _ in range(20)]
    statuses = [run.__enter__().process.wait(PATIENCE) for run in runs]
    for run in runs:
        run.__exit__(None, None, None)
    assert statuses == [0] * 20
    assert api.calls.count(MINT) == 1
    assert {row.secret for row in api.live_tokens()} == {old, secret(rotator)}

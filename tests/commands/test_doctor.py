"""`rotator doctor` as a process: what it prints, and its exit status."""

import re
import signal
import tempfile
import time
from pathlib import Path

import pytest

from tests.support.process import Runner
from tests.support.sandbox import Fault, Sandbox
from tests.support.waiting import FOREVER, PATIENCE, wait_until
from tests.support.world import EXCHANGE


def test_it_tells_how_things_stand_and_what_is_worst_last(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue(60))
    fine = rotator("doctor")
    assert (fine.status, fine.err) == (0, "")
    assert fine.out.endswith("\nno problems, no warnings, 8 ok\n")
    stores = "dotenv:.env dotenv:away/.env"
    ill = rotator("doctor", PYTHONIOENCODING="ascii:strict", ROTATOR_STORE=stores)
    assert ill.status == 1
    assert re.match("ok: settings: the settings are complete\nok: api: http", ill.out)
    worst, summary = ill.out.splitlines()[-2:]
    assert worst.startswith("problem: default: dotenv://")
    assert summary.startswith("1 problem, ")


def test_its_json_has_an_object_for_each_finding(rotator: Runner) -> None:
    result = rotator("doctor", "--json", NOCTURNA_ADMIN_EMAIL="")
    assert (result.status, result.err) == (2, "")
    assert result.json[0] == {
        "check": "settings",
        "token": None,
        "store": None,
        "status": "problem",
        "message": "environment: NOCTURNA_ADMIN_EMAIL: found nothing, expected the e-mail of an"
        " admin",
    }
    assert [row["status"] for row in result.json if row["check"] == "store"] == ["ok", "warning"]


def test_interrupts_end_it_without_a_traceback(rotator: Runner, api: Sandbox) -> None:
    toml = ""
    for name in ("luna", "sol"):  # two are looked at in threads, for which Python waits at its exit
        rotator.env_file.with_name(f"{name}.env").write_text(f"TOKEN={api.issue(60)}\n")
        toml += f'[[token]]\nname = "{name}"\nstores = ["dotenv:{name}.env#TOKEN"]\n'
    (rotator.folder / "rotator.toml").write_text(toml)
    api.misbehave(Fault.delay(FOREVER), f"POST {EXCHANGE}", times=None)
    with rotator.started("doctor", ROTATOR_STORE="") as running:
        wait_until(lambda: ("GET", "/auth/admin/verify", 200) in api.calls)
        while running.process.poll() is None:
            running.process.send_signal(signal.SIGINT)
            time.sleep(0.3)
        assert running.process.wait(PATIENCE) in (130, -signal.SIGINT)
        assert running.result().err.strip() == ""


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_a_file_that_every_user_may_read_is_told_once(
    rotator: Runner, api: Sandbox, arguments: tuple[str, ...]
) -> None:
    with tempfile.TemporaryDirectory(prefix="rotator-test-") as name:  # pytest's own are closed
        folder = Path(name)
        folder.chmod(0o755)
        file = folder / ".env"
        file.write_text(f"NOCTURNA_SERVICE_TOKEN={api.issue(60)}\n")
        file.chmod(0o644)
        rotator.env["ROTATOR_STORE"] = f"dotenv://{file}"
        result = rotator("doctor", *arguments)
        assert rotator("check").err.count("is readable by every user") == 1
    assert result.out.count("is readable by every user") == 1
    assert result.err == ""


def test_an_admin_s_password_that_every_user_may_read_is_told_once(
    rotator: Runner, api: Sandbox
) -> None:
    rotator.write_env(api.issue(60))
    with tempfile.TemporaryDirectory(prefix="rotator-test-") as name:  # pytest's own are closed
        folder = Path(name)
        folder.chmod(0o755)
        file = folder / "admin.env"
        file.write_text(f"ADMIN_PASSWORD={api.admin_password}\n")
        file.chmod(0o644)
        (rotator.folder / "rotator.toml").write_text(
            f'[api]\nurl = "{api.url}"\nadmin_email = "{api.admin_email}"\n'
            f'admin_password = "dotenv://{file}#ADMIN_PASSWORD"\n'
            '[[token]]\nname = "luna"\nstores = ["dotenv:.env"]\n'
        )
        rotator.env = {}
        result = rotator("doctor")
    told = f"dotenv://{file.resolve()}#ADMIN_PASSWORD is readable by every user of this machine"
    assert result.out.count(told) == 1
    assert result.err == ""

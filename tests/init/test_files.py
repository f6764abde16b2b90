"""The files for what runs the rotator: those of this repository, filled in, and they work."""

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from rotator.cli.init import deployment
from rotator.cli.init.deployment import Runner as RunBy
from rotator.cli.init.deployment import Site, fill_in
from tests.support.process import Runner
from tests.support.sandbox import Sandbox
from tests.support.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
PLACEHOLDERS = ("/opt/nocturna-rotator", "/etc/nocturna-rotator/", "/srv/luna", "your-api-server")


def set_up(bot: Runner, api: Sandbox, run_by: str, *more: str, **env: str) -> Path:
    """Run `rotator init`, and return the folder with the files."""
    (bot.folder / "password").write_text(api.admin_password)
    result = bot(
        *("init", "--url", api.url, "--email", api.admin_email, "--password-file", "password"),
        *("--run-by", run_by, *more),
        **env,
    )
    assert result.status == 0, result.err
    assert "next: rotator rotate\n" in result.out
    return bot.folder / "nocturna-rotator"


def uncommented(text: str) -> str:
    return "".join(
        line for line in text.splitlines(keepends=True) if not line.lstrip().startswith("#")
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")
@pytest.mark.parametrize("run_by", ["cron", "systemd", "compose"])
def test_root_is_not_to_write_in_the_folder_of_a_bot(
    bot: Runner, api: Sandbox, run_by: str
) -> None:
    (bot.folder / "password").write_text(api.admin_password)
    (bot.folder / "srv").mkdir()
    os.chown(bot.folder / "srv", 1234, 1234)
    before = sorted(bot.folder.iterdir())
    result = bot(
        *("init", "--url", api.url, "--email", api.admin_email, "--password-file", "password"),
        *("--run-by", run_by, "--store", "dotenv:srv/.env"),
    )
    assert result.status == 2
    assert result.err.splitlines()[-1] == (
        f"rotator: {run_by}: this is root, and user '#1234' owns '{bot.folder}/srv' and could lead"
        " a write to any file: set it up as that user: sudo -u '#1234' rotator init"
    )
    assert sorted(bot.folder.iterdir()) == before


def test_the_crontab_rotates_the_token(bot: Runner, api: Sandbox) -> None:
    bot.write_env(api.issue(days=3))
    given = {
        "VAULT_ADDR": "http://127.0.0.1:1",
        "VAULT_TOKEN": "hunter2",
        "REQUESTS_CA_BUNDLE": "",
    }
    folder = set_up(bot, api, "cron", "--store", "dotenv:.env", **given)
    text = (folder / "rotator.crontab").read_text()
    assert not [each for each in PLACEHOLDERS if each in uncommented(text)]
    environment = folder / "environment"
    assert stat.S_IMODE(environment.stat().st_mode) == 0o600
    assert uncommented(environment.read_text()) == (
        f'ROTATOR_CONFIG="{bot.folder}/rotator.toml"\nVAULT_ADDR="http://127.0.0.1:1"\n'
    )
    variables = dict(re.findall(r'^([A-Z_]+)="?(.*?)"?$', text, re.MULTILINE))
    entries = re.findall(r"^\d.*$", text, re.MULTILINE)
    for entry in entries:
        command = entry.split(None, 6)[6].replace("logger ", "logger --no-act --socket-errors=off ")
        done = subprocess.run(
            ["sh", "-c", command],  # noqa: S607 - any sh
            env=variables | {"JITTER": "0", "HOME": "/"},
            cwd="/",
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(entries) == 2
    assert api.tokens[-1].id in bot.env_file.read_text()


def test_the_units_name_what_is_used(bot: Runner, api: Sandbox) -> None:
    folder = set_up(bot, api, "systemd", "--store", "dotenv:.env")
    service = uncommented((folder / "rotator.service").read_text())
    assert not [each for each in PLACEHOLDERS if each in service]
    lines = service.splitlines()
    for line in (
        f"ExecStart={Path(sys.executable).parent}/rotator rotate --retry-for 10m",
        f"EnvironmentFile={folder}/environment",
        f"LoadCredential=admin-password:{bot.folder}/password",
        "Environment=NOCTURNA_ADMIN_PASSWORD_FILE=%d/admin-password",
        f'ReadWritePaths="{bot.folder.resolve()}"',
    ):
        assert line in lines
    assert "admin-email" not in service
    timer = (folder / "rotator.timer").read_text()
    assert timer == (ROOT / "cron/rotator.timer").read_text()
    if shutil.which("systemd-analyze"):
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", *map(str, folder.glob("rotator.*"))],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
        )
        mine = [line for line in done.stderr.splitlines() if "rotator" in line]
        assert (done.returncode, mine) == (0, [])


def site(folder: Path, **changes: Any) -> Site:  # noqa: ANN401 - whichever field
    usual = Site(
        variables={"ROTATOR_CONFIG": str(folder / "rotator.toml")},
        tables={"api": {"url": "https://a.example/api", "admin_email": "a@b"}, "token": []},
        stores=[f"dotenv://{folder}/bot/.env#A"],
        password_file=folder / "password",
        folder=folder / "files",
        environ={},
    )
    return usual._replace(**changes)


def test_a_unit_sees_what_is_in_a_home_and_nothing_else_there() -> None:
    made = fill_in(RunBy.SYSTEMD, site(Path("/home/luna")))
    lines = made.files["rotator.service"].splitlines()
    assert "ProtectHome=tmpfs" in lines
    assert "ProtectHome=yes" not in lines
    assert 'BindReadOnlyPaths="/home/luna/rotator.toml"' in lines
    assert 'BindPaths="/home/luna/bot"' in lines


def test_a_store_behind_a_server_needs_no_folder() -> None:
    made = fill_in(RunBy.SYSTEMD, site(Path("/srv/x"), stores=["vault://secret/luna#A"]))
    assert "\nReadWritePaths=" not in made.files["rotator.service"]


def test_compose_mounts_what_is_used(bot: Runner, api: Sandbox) -> None:
    folder = set_up(bot, api, "compose", "--store", "dotenv:.env")
    compose = yaml.safe_load((folder / "compose.yaml").read_text())
    shipped = yaml.safe_load((ROOT / "examples/compose.yaml").read_text())
    service, theirs = compose["services"]["rotator"], shipped["services"]["rotator"]
    assert compose.keys() == {"name", "services", "secrets"}
    assert compose["services"].keys() == {"rotator"}
    for key in ("command", "read_only", "cap_drop", "security_opt", "secrets", "restart"):
        assert service[key] == theirs[key]
    config, here = bot.folder / "rotator.toml", bot.folder.resolve()
    assert service["environment"] == {
        "ROTATOR_CONFIG": str(config),
        "NOCTURNA_ADMIN_PASSWORD_FILE": "/run/secrets/admin_password",
    }
    assert service["volumes"] == [f"{here}:{here}", f"{config}:{config}:ro"]
    assert service["user"] == f"{os.getuid()}:{os.getgid()}"
    assert compose["secrets"] == {"admin_password": {"file": str(bot.folder / "password")}}


def test_variables_run_in_compose_without_a_config(bot: Runner, api: Sandbox) -> None:
    folder = set_up(bot, api, "compose", "--store", "dotenv:.env", "--env")
    compose = yaml.safe_load((folder / "compose.yaml").read_text())
    given = compose["services"]["rotator"]["environment"]
    assert given == {
        "NOCTURNA_API_URL": api.url,
        "NOCTURNA_ADMIN_EMAIL": api.admin_email,
        "NOCTURNA_ADMIN_PASSWORD_FILE": "/run/secrets/admin_password",
        "ROTATOR_STORE": f"dotenv://{bot.folder.resolve()}/.env#NOCTURNA_SERVICE_TOKEN",
        "ROTATOR_RENEW_BEFORE": "7d",
    }


def test_compose_puts_no_variable_of_its_own_into_a_path() -> None:
    made = fill_in(RunBy.COMPOSE, site(Path("/srv/a$HOME")))
    assert "/srv/a$$HOME/rotator.toml" in made.files["compose.yaml"]
    assert "/srv/a$HOME" not in made.files["compose.yaml"]


def test_every_shipped_file_is_found() -> None:
    for name in ("cron/rotator.crontab", "helm/rotator/Chart.yaml", "examples/compose.yaml"):
        assert deployment.shipped(name).is_file()

"""The admin's password out of a store, as a run uses it."""

from pathlib import Path

import pytest

from rotator.config.settings import StoredSecret
from rotator.wiring.requirements import read_password
from tests.support.process import Runner
from tests.support.sandbox import Sandbox


@pytest.fixture
def stored(rotator: Runner, api: Sandbox) -> Runner:
    """A token that is due, and a config in a folder of its own with the password beside it."""
    conf = rotator.folder / "conf"
    conf.mkdir()
    rotator.write_env(api.issue(days=3))
    (conf / "rotator.toml").write_text(
        f'[api]\nurl = "{api.url}"\nadmin_email = "{api.admin_email}"\n'
        'admin_password = "dotenv:admin.env#ADMIN_PASSWORD"\n'
        '[[token]]\nname = "luna"\nstores = ["dotenv:../.env"]\n'
    )
    keep(rotator, f"A=1\nADMIN_PASSWORD='{api.admin_password}'\n")
    rotator.env = {"ROTATOR_CONFIG": str(conf / "rotator.toml")}
    return rotator


def keep(runner: Runner, content: str) -> None:
    path = runner.folder / "conf/admin.env"
    path.write_text(content)
    path.chmod(0o600)


def test_a_token_is_rotated_with_it_and_it_is_only_read(stored: Runner) -> None:
    file = stored.folder / "conf/admin.env"
    before = file.read_bytes()
    file.chmod(0o400)
    file.parent.chmod(0o500)
    result = stored("rotate")
    file.parent.chmod(0o700)
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith("luna: rotated")
    assert file.read_bytes() == before
    assert sorted(path.name for path in file.parent.iterdir()) == ["admin.env", "rotator.toml"]


@pytest.mark.parametrize("content", [None, "A=1\n", "ADMIN_PASSWORD=\n", "ADMIN_PASSWORD='\n'\n"])
def test_a_password_that_is_not_there_is_one_line(stored: Runner, content: str | None) -> None:
    if content is None:
        (stored.folder / "conf/admin.env").unlink()
    else:
        keep(stored, content)
    result = stored("rotate")
    url = f"dotenv://{stored.folder.resolve()}/conf/admin.env#ADMIN_PASSWORD"
    place = f"{stored.env['ROTATOR_CONFIG']}: [api] admin_password"
    assert result.status == 1
    [line] = result.err.splitlines()
    assert f"luna: {place}: there is nothing in {url}, expected the admin's password in it" in line


def test_a_store_that_does_not_answer_tells_it_itself(stored: Runner) -> None:
    keep(stored, 'ADMIN_PASSWORD="hunter2\n')
    result = stored("rotate")
    assert result.status == 1
    [line] = result.err.splitlines()
    assert "conf/admin.env" in line
    assert "line 1 cannot be parsed: close its quotes" in line
    assert "hunter2" not in line


def test_a_run_without_a_login_does_without_the_password(stored: Runner, api: Sandbox) -> None:
    stored.write_env(api.issue(days=60))
    keep(stored, 'ADMIN_PASSWORD="hunter2\n')
    assert stored("rotate").status == 0
    assert stored("check").status == 0


def test_a_literal_password_stops_every_command_and_is_not_shown(
    stored: Runner, api: Sandbox
) -> None:
    config = Path(stored.env["ROTATOR_CONFIG"])
    text = config.read_text().replace("dotenv:admin.env#ADMIN_PASSWORD", api.admin_password)
    config.write_text(text)
    for command, status in {"check": 3, "rotate": 2, "daemon": 2}.items():
        result = stored(command)
        assert result.status == status
        assert (
            f"{config}: [api] admin_password: found no store URL (what is there is not shown)"
            in (result.err)
        )
        assert api.admin_password not in result.err


def test_it_is_read_anew_at_each_login(tmp_path: Path) -> None:
    secret = StoredSecret("here", "dotenv:.env#ADMIN_PASSWORD", tmp_path)
    for password in ("old", "new"):
        (tmp_path / ".env").write_text(f"ADMIN_PASSWORD={password}\n")
        assert read_password(secret) == password

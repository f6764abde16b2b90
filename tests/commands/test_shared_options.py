"""Options that every command takes, in front of its name as well as behind it."""

import json

import pytest

from tests.support.process import Runner
from tests.support.sandbox import Sandbox

TOML = '[[token]]\nname = "{}"\nstores = ["dotenv:.env"]\n'


@pytest.fixture
def files(rotator: Runner, api: Sandbox) -> Runner:
    """Two config files, and the API's settings in a file of variables only."""
    rotator.write_env(api.issue(days=60))
    for name in ("one", "two"):
        (rotator.folder / f"{name}.toml").write_text(TOML.format(name))
    del rotator.env["ROTATOR_STORE"]
    variables = "".join(f"{name}='{value}'\n" for name, value in rotator.env.items())
    (rotator.folder / "api.env").write_text(f"# of the rotator\nexport {variables}")
    rotator.env.clear()
    return rotator


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("--config one.toml check", "one"),
        ("check --config one.toml", "one"),
        ("--config one.toml check --config two.toml", "two"),
        ("--log-format json --config two.toml check", "two"),
    ],
)
def test_the_config_may_stand_on_either_side(files: Runner, line: str, name: str) -> None:
    result = files(*line.split())
    assert result.status == 0
    assert result.out.startswith(f"{name}: ok")


@pytest.mark.parametrize("line", ["--log-format json check", "check --log-format json"])
def test_so_may_the_format_of_the_log(files: Runner, line: str) -> None:
    result = files(*line.split(), ROTATOR_STORE="dotenv:nowhere/.env")
    assert json.loads(result.err)["level"] == "error"


def test_a_command_of_a_command_has_them_too(files: Runner) -> None:
    result = files("--config", "two.toml", "--env-file", "api.env", "tokens", "list", "--json")
    assert [each["stores"][0]["name"] for each in result.json] == ["two"]


@pytest.mark.parametrize(
    "options",
    ["--config none.toml", "--log-format text --config none.toml", "--log-format xml", "-v --no"],
)
def test_a_wrong_option_in_front_of_a_check_cannot_tell(files: Runner, options: str) -> None:
    assert files(*options.split(), "check").status == 3


def test_a_file_of_variables_is_as_good_as_the_environment(files: Runner) -> None:
    for arguments in (("--env-file", "api.env", "rotate"), ("rotate", "--env-file", "api.env")):
        assert files(*arguments, "--config", "one.toml").status == 0


def test_what_is_set_wins_over_the_file(files: Runner) -> None:
    wrong = {"NOCTURNA_API_URL": "http://127.0.0.1:9/api"}
    found = files("--env-file", "api.env", "--config", "one.toml", "check", "--probe", **wrong)
    assert "nothing listens" in found.err
    empty = {"NOCTURNA_API_URL": ""}
    found = files("--env-file", "api.env", "--config", "one.toml", "check", "--probe", **empty)
    assert (found.status, found.err) == (0, "")


def test_the_file_may_be_the_store_and_no_program_inherits_its_token(files: Runner) -> None:
    with files.env_file.open("a") as file:
        file.write((files.folder / "api.env").read_text())
        file.write("VAULT_ADDR=$HOME\n")
    hook = 'hooks = [["sh", "-c", "env > inherited"]]\n'
    (files.folder / "one.toml").write_text(TOML.format("one") + hook)
    done = files("--env-file", ".env", "--config", "one.toml", "rotate", "--force")
    assert (done.status, done.err) == (0, "")
    inherited = (files.folder / "inherited").read_text()
    assert "VAULT_ADDR=$HOME\n" in inherited
    assert "\nNOCTURNA_SERVICE_TOKEN" not in inherited
    assert "NOCTURNA_ADMIN" not in inherited


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "--env-file: cannot read x.env: No such file or directory"),
        (b"A=1\nB='open\n", "--env-file: x.env: line 2 cannot be parsed"),
        (b"A=\xff\n", "--env-file: x.env is not UTF-8 text"),
        (b"A=a\0b\n", "--env-file: x.env: line 1 cannot be parsed"),
    ],
)
def test_a_file_that_is_not_understood_is_told(
    files: Runner, content: bytes | None, said: str
) -> None:
    if content is not None:
        (files.folder / "x.env").write_bytes(content)
    result = files("rotate", "--env-file", "x.env")
    assert (result.status, result.out) == (2, "")
    assert said in result.err


@pytest.mark.parametrize("arguments", [("-v", "rotate"), ("rotate", "--verbose")])
def test_each_step_is_told_on_request(
    rotator: Runner, api: Sandbox, arguments: tuple[str, ...]
) -> None:
    rotator.write_env(api.issue(days=3))
    told = rotator(*arguments).err
    assert "rotator: info: default: the API minted a token\n" in told
    rotator.write_env(api.issue(days=3))
    assert rotator("rotate").err == ""


def test_a_missing_setting_that_a_env_file_has_is_told_with_what_to_write(files: Runner) -> None:
    (files.folder / "api.env").rename(files.env_file)
    (line,) = files("rotate", "--config", "one.toml").err.splitlines()
    assert "[api] url: found nothing" in line
    assert "; the file .env here has NOCTURNA_API_URL: add --env-file .env" in line
    shown = files("config", "check", "--config", "one.toml").out.splitlines()
    assert ["add --env-file .env" in each for each in shown] == [True] * 3
    with files.env_file.open("a") as file:
        file.write("ROTATOR_STORE=dotenv:bot.env\n")
    (line,) = files("rotate").err.splitlines()
    assert "add --env-file .env" in line
    assert files("rotate", "--env-file", ".env").status == 0


def test_a_env_file_without_it_is_not_named(files: Runner) -> None:
    assert "--env-file" not in files("rotate", "--config", "one.toml").err
    files.env_file.write_text("A='open\n")
    assert "--env-file" not in files("rotate", "--config", "one.toml").err

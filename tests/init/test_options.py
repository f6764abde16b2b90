"""`rotator init` without a terminal: it takes options, and never asks."""

import errno
import os
import shlex
import stat
import tomllib
from pathlib import Path

import pytest

from rotator.errors import ConfigError
from rotator.setup.deployment import Deployment
from rotator.setup.deployment import Runner as RunBy
from rotator.setup.interview import Answers
from rotator.setup.outcome import Outcome
from tests.support.process import Runner
from tests.support.sandbox import Sandbox


@pytest.fixture
def options(bot: Runner, api: Sandbox) -> list[str]:
    """All that is needed; the password is in a file beside the config."""
    (bot.folder / "password").write_text(api.admin_password)
    return [
        *("--url", api.url, "--email", api.admin_email, "--password-file", "password"),
        *("--store", "dotenv:.env"),
    ]


def there(bot: Runner) -> set[str]:
    return {path.name for path in bot.folder.iterdir()}


def test_options_are_enough(bot: Runner, options: list[str]) -> None:
    result = bot("init", *options, "--name", "luna", "--renew-before", "10d")
    assert result.status == 0, result.err
    assert result.out == f"wrote {bot.folder}/rotator.toml (mode 0600)\nnext: rotator rotate\n"
    assert tomllib.loads((bot.folder / "rotator.toml").read_text())["token"] == [
        {"name": "luna", "stores": ["dotenv:.env"], "renew_before": "10d"}
    ]
    assert bot("rotate").status == 0


def test_the_environment_answers_as_well(bot: Runner, api: Sandbox) -> None:
    given = {
        "NOCTURNA_API_URL": api.url,
        "NOCTURNA_ADMIN_EMAIL": api.admin_email,
        "NOCTURNA_ADMIN_PASSWORD": api.admin_password,
    }
    result = bot("init", "--store", "dotenv:.env", **given)
    assert result.status == 0, result.err
    assert there(bot) == {"rotator.toml"}
    assert "password" not in tomllib.loads((bot.folder / "rotator.toml").read_text())["api"]
    assert bot("rotate", NOCTURNA_ADMIN_PASSWORD=api.admin_password).status == 0


def test_all_that_is_missing_is_named_at_once(bot: Runner) -> None:
    result = bot("init", "--email", "admin@example.com")
    assert (result.status, result.out) == (2, "")
    assert result.err == (
        "rotator: init: found no terminal to ask at, expected --store and --url and"
        " --password-file\n"
    )


@pytest.mark.parametrize(
    ("changes", "status", "told"),
    [
        ({"--url": "http://127.0.0.1:1/api"}, 1, "nothing listens at the API's address"),
        ({"--url": "here"}, 2, 'url: found "here", expected a URL'),
        ({"--email": "nobody@example.com"}, 1, "the API refuses this e-mail and password (401)"),
        ({"--password-file": "nowhere"}, 2, "no terminal to ask for: The admin's password"),
        ({"--store": "dotenv:nowhere/.env"}, 1, "there is no folder"),
        ({"--store": "floppy:a"}, 2, "no installed package serves floppy: stores"),
        ({"--name": "a b"}, 2, 'name: found "a b"'),
        ({"--renew-before": "7"}, 2, 'renew_before: found "7"'),
        ({"--renew-before": "2h", "--run-by": "systemd"}, 2, "expected at least 12 hours"),
        ({"--run-by": "helm"}, 2, "helm: found a .env file, expected another store"),
    ],
)
def test_a_wrong_option_ends_it_with_one_line_and_nothing_is_written(
    bot: Runner, options: list[str], changes: dict[str, str], status: int, told: str
) -> None:
    result = bot("init", *options, *(word for pair in changes.items() for word in pair))
    if "--store" in changes:  # of several stores each is tested
        options = [word for word in options if not word.startswith("dotenv:.env")]
    assert (result.status, result.out) == (status, "")
    *_, last = result.err.splitlines()
    assert last.startswith("rotator: ")
    assert told in last
    assert there(bot) <= {"password", ".env"}


def test_what_cannot_be_reached_is_taken_if_that_is_wanted(bot: Runner, options: list[str]) -> None:
    result = bot("init", *options, "--url", "http://127.0.0.1:1/api", "--untested")
    assert result.status == 0, result.err
    assert "  not tested: reach the API: nothing listens" in result.err
    assert (bot.folder / "rotator.toml").exists()


def test_variables_are_all_that_a_shell_gets(bot: Runner, options: list[str]) -> None:
    result = bot("init", *options, "--env")
    assert result.status == 0, result.err
    exports = [line for line in result.out.splitlines() if not line.startswith("#")]
    names = [shlex.split(line)[1].partition("=")[0] for line in exports]
    assert names == [
        "NOCTURNA_API_URL",
        "NOCTURNA_ADMIN_EMAIL",
        "NOCTURNA_ADMIN_PASSWORD_FILE",
        "ROTATOR_STORE",
        "ROTATOR_RENEW_BEFORE",
    ]
    (bot.folder / "lines").write_text(result.out)
    assert bot.in_shell(". ./lines && cd / && rotator rotate").status == 0


def test_no_option_takes_a_password(bot: Runner) -> None:
    result = bot("init", "--password", "hunter2")
    assert result.status == 2
    assert "hunter2" not in result.err


def test_a_config_with_mistakes_is_left_alone(bot: Runner, options: list[str]) -> None:
    config = bot.folder / "rotator.toml"
    for text in ("x = 1\n", "broken\n", 'token = "a"\n'):
        config.write_text(text)
        result = bot("init", *options)
        assert (result.status, result.out) == (2, "")
        assert config.read_text() == text


@pytest.mark.parametrize(
    "before",
    [
        "[api]\n{api}",
        "{api_inline}\ntoken = []\n",
        '{api_inline}\ntoken = [{{ name = "sol", stores = ["dotenv:sol.env"] }}]  # both\n',
        '[[token]]\nname = "sol"\nstores = ["dotenv:sol.env"]\n\n# api\n[api]\n{api}',
        '\ufeff[api]\r\n{api}\r\n[[token]]\r\nname = "sol"\r\nstores = ["dotenv:sol.env"]\r\n',
    ],
    ids=["no token", "an empty list", "a list", "the api last", "as Windows writes it"],
)
def test_a_token_is_added_wherever_others_stand(
    bot: Runner, api: Sandbox, options: list[str], before: str
) -> None:
    lines = {
        "url": api.url,
        "admin_email": api.admin_email,
        "admin_password_file": "password",
    }
    text = before.format(
        api="".join(f'{key} = "{value}"\n' for key, value in lines.items()),
        api_inline=f"api = {{ {', '.join(f'{k} = {v!r}' for k, v in lines.items())} }}",
    )
    if "\r" in text:
        text = text.replace("\r", "").replace("\n", "\r\n")
    config = bot.folder / "rotator.toml"
    config.write_bytes(text.encode())
    result = bot("init", *options[-2:], "--name", "luna")
    assert result.status == 0, result.err
    assert result.out.endswith("next: rotator rotate luna\n")
    after = config.read_bytes().decode()
    rest = iter(after.splitlines(keepends=True))
    kept = [line for line in text.splitlines(keepends=True) if not line.startswith("token = ")]
    assert all(line in rest for line in kept), after
    assert after.count("\n") == after.count("\r\n") or "\r" not in after
    assert "# api\n[api]" in after or "# api" not in after
    shown = tomllib.loads(after.removeprefix("\ufeff"))
    assert shown["token"][-1] == {"name": "luna", "stores": ["dotenv:.env"]}
    assert bot("rotate", "luna").status == 0


def test_nothing_is_written_where_the_folder_for_files_is_there(
    bot: Runner, options: list[str]
) -> None:
    (bot.folder / "nocturna-rotator").mkdir()
    before = there(bot)
    result = bot("init", *options, "--run-by", "cron")
    assert (result.status, result.out) == (2, "")
    assert "nocturna-rotator is there already: remove it, or choose another place" in result.err
    assert there(bot) == before


def test_a_folder_that_is_missing_is_told_before_anything_is_asked(
    bot: Runner, options: list[str]
) -> None:
    result = bot("init", *options, "--config", "nowhere/rotator.toml")
    assert (result.status, result.out) == (2, "")
    assert result.err == f"rotator: there is no folder {bot.folder}/nowhere: create it\n"


def outcome(folder: Path, before: str | None = None) -> Outcome:
    """Return what would be written: a password, two files and a config."""
    return Outcome(
        Answers(
            {},
            "hunter2",
            folder / "password",
            {"name": "luna"},
            (),
            as_variables=False,
            runner=RunBy.CRON,
        ),
        *(folder / "rotator.toml", before, "# new\n", ""),
        Deployment({"environment": "A=1\n", "crontab": "# x\n"}, ["true"]),
        folder / "files",
    )


def test_all_is_written_with_its_mode_and_nothing_else(tmp_path: Path) -> None:
    umask = os.umask(0o022)
    outcome(tmp_path).write()
    os.umask(umask)
    found = {
        str(path.relative_to(tmp_path)): stat.S_IMODE(path.stat().st_mode)
        for path in tmp_path.rglob("*")
        if path.is_file()
    }
    assert found == {
        "password": 0o600,
        "rotator.toml": 0o600,
        "files/environment": 0o600,
        "files/crontab": 0o644,
    }
    assert all(path.stat().st_nlink == 1 for path in tmp_path.rglob("*") if path.is_file())


@pytest.mark.parametrize("name", ["rotator.toml", "password", "files"])
def test_what_was_written_is_removed_where_somebody_else_was_faster(
    tmp_path: Path, name: str
) -> None:
    theirs = tmp_path / name
    if name == "files":
        theirs.mkdir()
    else:
        theirs.write_text("theirs")
    with pytest.raises(ConfigError, match=f"{name} (is there already|cannot be written)"):
        outcome(tmp_path).write()
    assert [path.name for path in tmp_path.rglob("*")] == [name]


def test_a_config_that_was_changed_meanwhile_is_left_as_it_is(tmp_path: Path) -> None:
    config = tmp_path / "rotator.toml"
    config.write_text("# theirs\n")
    with pytest.raises(ConfigError, match="was changed meanwhile: start again"):
        outcome(tmp_path, "# before\n").write()
    assert config.read_text() == "# theirs\n"
    assert [path.name for path in tmp_path.iterdir()] == ["rotator.toml"]


def test_a_file_system_without_links_is_written_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    outcome(tmp_path).write()
    assert (tmp_path / "password").read_text() == "hunter2\n"


def test_the_login_of_a_config_is_tried_before_a_token_is_added(
    bot: Runner, api: Sandbox, options: list[str]
) -> None:
    config = bot.folder / "rotator.toml"
    before = f'[api]\nurl = "{api.url}"\nadmin_email = "a@b"\nadmin_password_file = "password"\n'
    config.write_text(before)
    result = bot("init", *options[-2:])
    assert (result.status, result.out) == (1, "")
    assert "the API refuses this e-mail and password (401)" in result.err
    assert config.read_text() == before
    result = bot("init", *options[-2:], "--untested")
    assert result.status == 0, result.err
    assert config.read_text().startswith(before)

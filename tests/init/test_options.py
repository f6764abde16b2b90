"""`rotator init` without a terminal: it takes options, and never asks."""

import errno
import os
import shlex
import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest

from rotator.cli.init.asking import Nobody
from rotator.cli.init.deployment import Deployment
from rotator.cli.init.deployment import Runner as RunBy
from rotator.cli.init.document import add_token
from rotator.cli.init.interview import Answers, Given, Interview, Target
from rotator.cli.init.outcome import Outcome
from rotator.errors import ApiError, ConfigError, RotatorError, StoreError
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
    assert result.out == (
        f"wrote {bot.folder}/rotator.toml (mode 0600)\nnext: rotator rotate\n"
        "for another bot: rotator init again\n"
    )
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
        "rotator: init: there is no terminal to ask at: give --store and --url and"
        " --password-file\n"
    )


@pytest.mark.parametrize(
    ("changes", "kind", "told"),
    [
        ({"url": "http://127.0.0.1:1/api"}, ApiError, "nothing listens at the API's address"),
        ({"url": "here"}, ConfigError, 'url: found "here", expected a URL'),
        ({"email": "nobody@example.com"}, ApiError, "the API refuses this e-mail and password"),
        ({"password_file": "nowhere"}, ConfigError, "there is no file /"),
        ({"stores": ("dotenv:nowhere/.env",)}, StoreError, "there is no folder"),
        (
            {"stores": ("dotenv:.env", "floppy:a")},
            ConfigError,
            "no installed package serves floppy",
        ),
        ({"stores": ("dotenv:.env", "dotenv:./.env")}, ConfigError, "is a store of this token"),
        ({"name": "a b"}, ConfigError, 'name: found "a b"'),
        ({"renew_before": "7"}, ConfigError, 'renew_before: found "7"'),
        ({"renew_before": "2h", "runner": "cron"}, ConfigError, "expected at least 12 hours"),
        ({"runner": "helm"}, ConfigError, "helm: found a .env file, expected another store"),
    ],
)
def test_a_wrong_option_is_one_line(
    tmp_path: Path, api: Sandbox, changes: dict[str, Any], kind: type[RotatorError], told: str
) -> None:
    (tmp_path / "password").write_text(api.admin_password)
    given = Given(api.url, api.admin_email, "password", ("dotenv:.env",))._replace(**changes)
    with pytest.raises(kind) as caught:
        Interview(Nobody(), given, Target(tmp_path / "rotator.toml", {})).hold()
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_option_ends_it_and_nothing_is_written(bot: Runner, options: list[str]) -> None:
    result = bot("init", *options, "--url", "http://127.0.0.1:1/api")
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith("rotator: reach the API: nothing listens")
    assert there(bot) == {"password"}


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


def test_variables_are_printed_beside_a_config_and_the_config_stays(
    bot: Runner, options: list[str]
) -> None:
    config = bot.folder / "rotator.toml"
    config.write_text("# theirs\n")
    result = bot("init", *options, "--env")
    assert result.status == 0, result.err
    assert "export ROTATOR_STORE=" in result.out
    assert config.read_text() == "# theirs\n"


def test_an_option_that_would_change_nothing_is_refused(bot: Runner, options: list[str]) -> None:
    result = bot("init", *options, "--env", "--name", "luna")
    assert (result.status, result.out) == (2, "")
    assert result.err.endswith("one token, which has no name: leave out --name\n")
    assert bot("init", *options).status == 0
    before = (bot.folder / "rotator.toml").read_bytes()
    result = bot("init", *options[:-1], "dotenv:other.env")
    assert (result.status, result.out) == (2, "")
    assert result.err.endswith(
        "rotator.toml has its [api] already: leave out --url and --email and --password-file\n"
    )
    assert (bot.folder / "rotator.toml").read_bytes() == before


def test_a_config_that_cannot_be_read_is_told_before_all_else(
    bot: Runner, options: list[str]
) -> None:
    config = bot.folder / "rotator.toml"
    config.write_text("[[[")
    result = bot("init", *options)
    assert (result.status, result.out) == (2, "")
    assert "rotator.toml: found broken TOML" in result.err
    config.unlink()
    os.mkfifo(config)
    result = bot("init", *options)
    assert (result.status, result.out) == (2, "")
    assert "rotator.toml: cannot read it: it is no regular file" in result.err


def test_a_url_without_its_api_is_found_out_before_the_login(
    bot: Runner, api: Sandbox, options: list[str]
) -> None:
    result = bot("init", *options, "--url", api.url.removesuffix("/api"))
    assert (result.status, result.out) == (1, "")
    assert "no such address (404); check the API's URL, which ends in /api" in result.err
    assert "POST" not in {method for method, _, _ in api.calls}
    assert there(bot) == {"password"}


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
    ("before", "after"),
    [
        ("[api]  # ours\n", "[api]  # ours\n\n{new}"),
        ("", "{new}"),
        ("[[token]]\na = 1", "[[token]]\na = 1\n{new}"),
        ("token = []\n", "token = [{inline}]\n"),
        ("token = [{a = 1}]  # all\n", "token = [{a = 1}, {inline}]  # all\n"),
        ("[[token]]\na = 1  # one\n", "[[token]]\na = 1  # one\n\n{new}"),
        (
            "[[token]]\na = 1\n# b = 2\n\n# of the api\n[api]\nc = 3\n# the end\n",
            "[[token]]\na = 1\n# b = 2\n\n{new}\n# of the api\n[api]\nc = 3\n# the end\n",
        ),
        ("\ufeff[[token]]\r\na = 1\r\n", "\ufeff[[token]]\r\na = 1\r\n\r\n{new_windows}"),
    ],
    ids=[
        "no token",
        "nothing",
        "no end of line",
        "an empty list",
        "a list",
        "at the end",
        "between",
        "of Windows",
    ],
)
def test_a_token_is_added_where_it_belongs(before: str, after: str) -> None:
    token: dict[str, str | list[str]] = {"name": "luna", "stores": ["dotenv:.env"]}
    lines = ["[[token]]\n", 'name = "luna"\n', 'stores = ["dotenv:.env"]\n']
    expected = after.replace("{new}", "".join(lines))
    expected = expected.replace("{new_windows}", "".join(lines).replace("\n", "\r\n"))
    expected = expected.replace("{inline}", '{name = "luna", stores = ["dotenv:.env"]}')
    assert add_token(before, token) == expected


def test_a_token_is_not_added_where_the_order_would_change() -> None:
    before = "[[token]]\na = 1\n[api]\nb = 2\n[[token]]\nc = 3\n"
    with pytest.raises(ConfigError, match="found no place for another") as caught:
        add_token(before, {"name": "luna", "stores": ["dotenv:.env"]})
    assert str(caught.value).endswith('name = "luna", stores = ["dotenv:.env"]')


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

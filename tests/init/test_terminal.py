"""`rotator init` in a terminal: a `.env` bot, with wrong answers on the way, and Ctrl-C."""

import stat
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.init.talk import (
    EMAIL,
    FILE,
    FORM,
    KEEP,
    MORE,
    NAME,
    NUMBER,
    PASSWORD,
    RENEWAL,
    RUNNER,
    STORE,
    URL,
    finish,
    log_in,
    talking,
)
from tests.support.process import Runner
from tests.support.sandbox import Sandbox
from tests.support.screen import CTRL_C, Screen


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in sorted(folder.iterdir())}


def test_a_bot_with_a_env_file_is_set_up_and_its_token_rotated(bot: Runner, api: Sandbox) -> None:
    bot.write_env(api.issue(days=3))
    with talking(bot) as screen:
        log_in(screen, api)
        screen.wait_for(STORE)
        screen.answer(NUMBER, "1")
        screen.answer("The file", "")
        screen.answer("The variable", "")
        screen.wait_for("it can be written, and holds a token with 3 days left")
        shown = finish(screen)
    assert shown.endswith("next: rotator rotate\nfor another bot: rotator init again\n")
    assert api.admin_password not in shown
    assert modes(bot.folder) == {".env": 0o600, "admin-password": 0o600, "rotator.toml": 0o600}
    assert (bot.folder / "admin-password").read_text() == f"{api.admin_password}\n"
    text = (bot.folder / "rotator.toml").read_text()
    assert text.startswith("#:schema file:///")
    assert Path(text.partition("#:schema file://")[2].partition("\n")[0]).is_file()
    assert tomllib.loads(text) == {
        "api": {
            "url": api.url,
            "admin_email": api.admin_email,
            "admin_password_file": "admin-password",
        },
        "token": [{"name": "luna", "stores": ["dotenv:.env"], "renew_before": "7d"}],
    }
    assert bot("config", "check").out == "rotator.toml: no mistakes, 1 token\n"
    result = bot("rotate")
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith("luna: rotated")


def test_each_wrong_answer_about_the_api_is_told_at_once_and_asked_again(
    bot: Runner, api: Sandbox
) -> None:
    api.add_user("user@example.com", "their-password")
    with talking(bot, "--store", "dotenv:.env", "--name", "luna") as screen:
        screen.answer(URL, "nocturna.example/api")
        screen.wait_for('no: url: found "nocturna.example/api", expected a URL such as')
        screen.answer(URL, "http://nocturna.example/api")
        screen.wait_for("no: url: http would show the password to the network")
        screen.answer(URL, "http://127.0.0.1:1/api")
        screen.wait_for("no: reach the API: nothing listens at the API's address, 127.0.0.1:1")
        screen.answer(KEEP, "no")
        screen.answer(URL, api.url.removesuffix("/api"))
        screen.wait_for("no such address (404)")
        screen.answer(URL, api.url)
        screen.wait_for("ok: the API answers")
        screen.answer(EMAIL, api.admin_email)
        screen.answer(FILE, "nowhere/password")
        screen.wait_for(f"no: there is no folder {bot.folder}/nowhere")
        screen.answer(EMAIL, "")
        screen.answer(FILE, "")
        screen.answer(PASSWORD, "wrong")
        screen.wait_for("no: log in: the API refuses this e-mail and password (401)")
        screen.answer(EMAIL, "user@example.com")
        screen.answer(FILE, "")
        screen.answer(PASSWORD, "their-password")
        screen.wait_for("no: prove the admin's rights: the account is not an admin (403)")
        screen.answer(f"{EMAIL} [user@example.com]", api.admin_email)
        screen.answer(FILE, "")
        screen.answer(PASSWORD, api.admin_password)
        screen.wait_for("ok: the API accepts the e-mail and the password")
        screen.answer(RENEWAL, "")
        screen.answer(NUMBER, "")
        assert screen.end() == 0, screen.shown
    assert bot("rotate").status == 0


def test_what_it_says_fits_the_terminal(bot: Runner, api: Sandbox) -> None:
    with talking(bot, COLUMNS="80") as screen:
        screen.answer(URL, "http://nocturna.example/api")
        screen.wait_for("no: url: http would show the password to the network")
        screen.answer(URL, api.url)
        screen.answer(EMAIL, api.admin_email)
        screen.wait_for("[admin-password]: ")
        screen.type(CTRL_C)
        assert screen.end() == 130
    assert max(map(len, screen.shown.splitlines())) <= 80
    assert screen.shown.startswith("This sets up the rotator.")


def test_each_wrong_answer_about_the_token_is_told_at_once_and_asked_again(
    bot: Runner, api: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> None:
    no_folder = tmp_path_factory.mktemp("there") / "file"
    no_folder.write_text("")
    (bot.folder / "bots").mkdir()
    with talking(bot) as screen:
        log_in(screen, api)
        screen.answer(NUMBER, "floppy:a")
        screen.wait_for("no: no installed package serves floppy: stores")
        screen.answer(NUMBER, f"dotenv://{no_folder}/.env")
        screen.wait_for("is no folder: correct the path")
        screen.answer(KEEP, "perhaps")
        screen.answer(KEEP, "n")
        screen.answer(NUMBER, "1")
        screen.answer("The file", "bots/bot.env")
        screen.answer("The variable", "1TOKEN")
        screen.wait_for("no: after the `#` of a dotenv: store stands the name of a variable")
        screen.answer(NUMBER, "1")
        screen.answer("The file", "bots/bot.env")
        screen.answer("The variable", "TOKEN")
        screen.answer(MORE, "y")
        screen.answer(NUMBER, "dotenv:bots/bot.env#TOKEN")
        screen.wait_for("is a store of this token, expected another one")
        screen.answer(NUMBER, "dotenv:other.env")
        screen.answer(MORE, "n")
        screen.wait_for(FORM)
        screen.answer(NUMBER, "1")
        screen.answer(NAME, "luna bot")
        screen.wait_for('no: name: found "luna bot"')
        screen.answer(NAME, "luna")
        screen.answer(RENEWAL, "7 days")
        screen.wait_for('no: renew_before: found "7 days", expected a duration above zero')
        screen.answer(RENEWAL, "90d")
        screen.wait_for('no: renew_before: found "90d", expected less than validity (90 days)')
        screen.answer(RENEWAL, "6h")
        screen.wait_for(RUNNER)
        screen.answer(NUMBER, "1")
        screen.wait_for("no: cron looks every 6 hours: found a renew_before of 6 hours")
        screen.answer(NUMBER, "9")
        screen.wait_for("no: expected a number from 1 to 5")
        screen.answer(NUMBER, "5")
        assert screen.end() == 0, screen.shown
    config = tomllib.loads((bot.folder / "rotator.toml").read_text())
    assert config["token"] == [
        {
            "name": "luna",
            "stores": ["dotenv:bots/bot.env#TOKEN", "dotenv:other.env"],
            "renew_before": "6h",
        }
    ]
    result = bot("rotate")
    assert (result.status, result.err) == (0, "")
    assert "TOKEN=" in (bot.folder / "bots/bot.env").read_text()


def test_a_file_with_the_password_is_used_and_left_as_it_is(bot: Runner, api: Sandbox) -> None:
    (bot.folder / "mine").write_text(api.admin_password)
    with talking(
        bot, "--url", api.url, "--email", api.admin_email, "--store", "dotenv:.env"
    ) as screen:
        screen.answer(FILE, "mine")
        screen.wait_for(FORM)
        screen.answer(NUMBER, "")
        screen.answer(NAME, "")
        screen.answer(RENEWAL, "")
        screen.answer(NUMBER, "")
        assert screen.end() == 0, screen.shown
    assert (bot.folder / "mine").read_text() == api.admin_password
    assert bot("rotate").status == 0


def test_variables_are_printed_instead_of_a_file(bot: Runner, api: Sandbox) -> None:
    with talking(bot) as screen:
        log_in(screen, api)
        screen.answer(NUMBER, "dotenv:.env")
        screen.answer(MORE, "")
        screen.wait_for(FORM)
        screen.answer(NUMBER, "2")
        screen.answer(RENEWAL, "8d")
        screen.answer(NUMBER, "")
        assert screen.end() == 0, screen.shown
    lines = screen.shown[screen.shown.index("export ") :]
    assert not (bot.folder / "rotator.toml").exists()
    result = bot.in_shell(f"{lines}\nrotator rotate")
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith("default: rotated")


Stop = Callable[[Screen, Sandbox], None]


def _up_to_url(screen: Screen, _api: Sandbox) -> None:
    screen.wait_for(URL)


def _up_to_password(screen: Screen, api: Sandbox) -> None:
    screen.answer(URL, api.url)
    screen.answer(EMAIL, api.admin_email)
    screen.answer(FILE, "")
    screen.wait_for(PASSWORD)


def _up_to_store(screen: Screen, api: Sandbox) -> None:
    log_in(screen, api)
    screen.wait_for(NUMBER)


def _up_to_runner(screen: Screen, api: Sandbox) -> None:
    _up_to_store(screen, api)
    screen.type("dotenv:.env\n")
    screen.answer(MORE, "")
    screen.answer(NUMBER, "")
    screen.answer(NAME, "luna")
    screen.answer(RENEWAL, "")
    screen.wait_for(NUMBER)


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    "keys", [CTRL_C, pytest.param("\x04", marks=pytest.mark.long)], ids=["Ctrl-C", "Ctrl-D"]
)
@pytest.mark.parametrize("stop", [_up_to_url, _up_to_password, _up_to_store, _up_to_runner])
def test_an_end_at_any_question_leaves_nothing(
    bot: Runner, api: Sandbox, stop: Stop, keys: str
) -> None:
    with talking(bot) as screen:
        stop(screen, api)
        screen.type(keys)
        assert screen.end() == 130, screen.shown
    assert "Traceback" not in screen.shown
    assert list(bot.folder.iterdir()) == []


def test_a_token_is_added_to_a_config_whose_comments_and_order_stay(
    bot: Runner, api: Sandbox
) -> None:
    (bot.folder / "password").write_text(api.admin_password)
    before = f"""# ours
[[token]]   # the first
stores = [
    "dotenv:.env",  # here
]
name = 'luna'

[defaults]
renew_before = "8d"  # a day more

[api]
admin_password_file = "password"
admin_email = "{api.admin_email}"
url = "{api.url}"
# the end
"""
    config = bot.folder / "rotator.toml"
    config.write_text(before)
    config.chmod(0o640)
    with talking(bot, NOCTURNA_ADMIN_EMAIL="nobody@example.com") as screen:
        screen.wait_for("no: log in: the API refuses this e-mail and password (401)")
        screen.answer("Add a token all the same", "n")
        assert screen.end() == 1
    with talking(bot) as screen:
        screen.wait_for("ok: the API accepts the e-mail and the password")
        screen.answer(NUMBER, "dotenv:./.env")
        screen.wait_for("is a store of luna, expected another one")
        screen.answer(NUMBER, "dotenv:sol.env")
        screen.answer(MORE, "")
        screen.answer(NAME, "luna")
        screen.wait_for("no: there is a token luna already")
        screen.answer(NAME, "sol")
        screen.answer(f"{RENEWAL} [8d]", "")
        screen.answer(NUMBER, "")
        assert screen.end() == 0, screen.shown
    assert screen.shown.endswith("next: rotator rotate sol\nfor another bot: rotator init again\n")
    after = config.read_text()
    rest = iter(after.splitlines())
    assert all(line in rest for line in before.splitlines()), after
    assert tomllib.loads(after)["token"] == [
        {"stores": ["dotenv:.env"], "name": "luna"},
        {"name": "sol", "stores": ["dotenv:sol.env"]},
    ]
    assert stat.S_IMODE(config.stat().st_mode) == 0o640
    result = bot("rotate", "sol")
    assert (result.status, result.err) == (0, "")

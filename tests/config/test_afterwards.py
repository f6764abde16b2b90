"""The keys `hooks` and `notify`."""

from pathlib import Path

import pytest

from tests.config.support import load, mistake

TOKEN = '[[token]]\nname = "luna"\nstores = ["dotenv:.env"]\n'
IN_TOKEN = 'rotator.toml: [[token]] "luna" '
HOOKS = (
    "expected a list in which each hook is a list of arguments, such as"
    ' [["systemctl", "restart", "luna-bot"]]'
)
URLS = 'expected a list of apprise URLs such as ["slack://…", "mailto://…"]'


def test_hooks_are_lists_of_arguments(tmp_path: Path) -> None:
    toml = f"""{TOKEN}
hooks = [["systemctl", "restart", "luna bot"], ["sh", "-c", "echo\\n; true", ""]]
"""
    [token] = load(tmp_path, toml).tokens
    assert token.hooks == (
        ("systemctl", "restart", "luna bot"),
        ("sh", "-c", "echo\n; true", ""),
    )


def test_a_hook_with_a_relative_path_is_in_the_folder_of_the_config(tmp_path: Path) -> None:
    toml = f'{TOKEN}hooks = [["./tell", "./x"], ["bin/tell"], ["/opt/tell"], ["tell"]]'
    [token] = load(tmp_path, toml, named="conf/bots.toml").tokens
    programs = [hook[0] for hook in token.hooks]
    folder = f"{tmp_path}/conf"
    assert programs == [f"{folder}/tell", f"{folder}/bin/tell", "/opt/tell", "tell"]
    assert token.hooks[0][1] == "./x"


@pytest.mark.parametrize("key", ["hooks", "notify"])
def test_a_token_takes_the_defaults_or_has_its_own_or_none(tmp_path: Path, key: str) -> None:
    def value(name: str) -> str:
        return f'{key} = [["{name}"]]\n' if key == "hooks" else f'{key} = ["json://{name}"]\n'

    other = TOKEN.replace("luna", "sol").replace(".env", "sol.env") + value("own")
    third = TOKEN.replace("luna", "mars").replace(".env", "mars.env") + f"{key} = []\n"
    settings = load(tmp_path, f"[defaults]\n{value('all')}{TOKEN}{other}{third}")
    if key == "hooks":
        assert [token.hooks for token in settings.tokens] == [(("all",),), (("own",),), ()]
        return
    luna, sol, mars = (token.notify for token in settings.tokens)
    assert [url.get() for url in (*luna, *sol, *mars)] == ["json://all", "json://own"]
    assert luna[0].origin == "rotator.toml: [defaults] notify: URL 1"
    assert sol[0].origin == 'rotator.toml: [[token]] "sol" notify: URL 1'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ('"systemctl restart hunter2"', f"found a text, {HOOKS}"),
        ('["systemctl restart hunter2"]', f"found a text as hook 1, {HOOKS}"),
        ('["systemctl", "restart", "hunter2"]', f"found a text as hook 1, {HOOKS}"),
        ('[["true"], "hunter2"]', f"found a text as hook 2, {HOOKS}"),
        ('[["true"], []]', f"found an empty list as hook 2, {HOOKS}"),
        ("[[]]", f"found an empty list as hook 1, {HOOKS}"),
        ("[{a = 1}]", f"found a table as hook 1, {HOOKS}"),
        ("true", f"found true or false, {HOOKS}"),
        ("5", f"found a number, {HOOKS}"),
        ("2026-11-23", f"found a date, {HOOKS}"),
        (
            '[["sleep", 5]]',
            "found a number among the arguments of hook 1, expected texts only",
        ),
        (
            '[[["true"]]]',
            "found a list among the arguments of hook 1, expected texts only",
        ),
        (
            '[[""]]',
            "found an empty text as the program of hook 1, expected its name or path",
        ),
        (
            '[[" ", "hunter2"]]',
            "found an empty text as the program of hook 1, expected its name or path",
        ),
        (
            '[["true", "hunter2\\u0000"]]',
            "found a NUL character among the arguments of hook 1, expected arguments without one",
        ),
    ],
)
def test_hooks_that_are_no_lists_of_arguments_are_a_mistake_that_shows_the_form(
    tmp_path: Path, value: str, text: str
) -> None:
    assert mistake(tmp_path, f"{TOKEN}hooks = {value}") == f"{IN_TOKEN}hooks: {text}"
    assert mistake(tmp_path, f"[defaults]\nhooks = {value}\n{TOKEN}") == (
        f"rotator.toml: [defaults] hooks: {text}"
    )


@pytest.mark.parametrize("key", ["hooks", "restart", "probe"])
def test_a_key_that_has_no_variable_is_not_ignored_in_the_environment(
    tmp_path: Path, key: str
) -> None:
    name = f"ROTATOR_{key.upper()}"
    assert mistake(tmp_path, variables={name: "systemctl restart hunter2"}) == (
        f"environment: {name}: found an unknown variable, expected `{key}` in a config file"
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ('"slack://hunter2"', f"found a text, {URLS}"),
        ('["json://localhost", "hunter2"]', f"found a text that is no URL as URL 2, {URLS}"),
        ('["slack:hunter2"]', f"found a text that is no URL as URL 1, {URLS}"),
        ('["slack://hunter2 slack://b"]', f"found a text that is no URL as URL 1, {URLS}"),
        ('["slack://hunter2\\u0000"]', f"found a text that is no URL as URL 1, {URLS}"),
        ('[""]', f"found a text that is no URL as URL 1, {URLS}"),
        ("[5]", f"found a number as URL 1, {URLS}"),
        ('[["slack://hunter2"]]', f"found a list as URL 1, {URLS}"),
        ("5", f"found a number, {URLS}"),
    ],
)
def test_what_is_no_url_for_notices_is_a_mistake_and_never_shown(
    tmp_path: Path, value: str, text: str
) -> None:
    message = mistake(tmp_path, f"{TOKEN}notify = {value}")
    assert message == f"{IN_TOKEN}notify: {text}"
    assert "hunter2" not in message


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("hunter2", f"found a text that is no URL as URL 1, {URLS}"),
        ("slack://a, slack://hunter2", "found a comma, expected spaces between URLs"),
        ("slack://a,slack://hunter2", "found a comma, expected spaces between URLs"),
        ("slack://hunter2\udcff", f"found a text that is no URL as URL 1, {URLS}"),
    ],
    ids=["no URL", "comma and space", "comma", "no UTF-8"],
)
def test_a_url_in_the_environment_is_never_shown(tmp_path: Path, value: str, text: str) -> None:
    variables = {"ROTATOR_STORE": "dotenv:.env", "ROTATOR_NOTIFY": value}
    assert mistake(tmp_path, variables=variables) == f"environment: ROTATOR_NOTIFY: {text}"


def test_urls_for_notices_hide(tmp_path: Path) -> None:
    [token] = load(tmp_path, f'{TOKEN}notify = ["slack://hunter2"]').tokens
    assert token.notify[0].get() == "slack://hunter2"
    assert "hunter2" not in repr(token)


def test_a_hook_may_call_the_rotator(tmp_path: Path) -> None:
    told = dict.fromkeys(["ROTATOR_NAME", "ROTATOR_TOKEN_ID", "ROTATOR_EXPIRES_AT"], "")
    variables = {**told, "ROTATOR_STORES": "dotenv:///srv/.env", "ROTATOR_STORE": "dotenv:.env"}
    [token] = load(tmp_path, variables=variables).tokens
    assert token.stores == ("dotenv:.env",)

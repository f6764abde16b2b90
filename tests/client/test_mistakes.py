"""What cannot work is told at once, or with the place that has no token."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests

from rotator.client import (
    NocturnaAuth,
    ServiceTokenRefusedError,
    ServiceTokenUnavailableError,
    TokenManager,
    UserSession,
)
from rotator.client.httpx import NocturnaAuth as HttpxAuth
from rotator.errors import ConfigError, MalformedTokenError
from tests.client.support import Bot
from tests.support.sandbox import Sandbox
from tests.support.waiting import PATIENCE


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("env:THERE_IS_NONE", "there is no such variable"),
        ("file:/nowhere/token", "there is no such file"),
        ("file:/", "Is a directory"),
        ("file:/nowhere/\0", "it cannot be read (embedded null byte)"),
        ("dotenv:/nowhere/.env", "there is no folder"),
        (lambda: str(int("x")), "it raised ValueError"),
        (lambda: None, "it returned NoneType, not a text"),
        (lambda: "", "the value is empty"),
        (lambda: "'eyJ'", "there are quotes around the token"),
    ],
)
def test_a_source_without_a_token_says_so(
    api: Sandbox, source: str | Callable[[], str], why: str
) -> None:
    bot = Bot(api, source)
    for _ in range(3):
        with pytest.raises(ServiceTokenUnavailableError) as caught:
            bot.manager.get_access_token()
        assert str(caught.value).startswith("the service token cannot be read from ")
        assert why in str(caught.value)
    assert api.calls == []


@pytest.mark.parametrize("name", ["token", ".env", ".env.rotator-backup", ".env.rotator-lock"])
def test_a_pipe_in_the_place_of_a_file_stops_no_bot(
    api: Sandbox, tmp_path: Path, name: str
) -> None:
    if name != ".env":
        (tmp_path / ".env").write_text("A=1\n")
        (tmp_path / ".env").chmod(0o600)
    os.mkfifo(tmp_path / name)
    source = f"file:{tmp_path}/token" if name == "token" else f"dotenv:{tmp_path}/.env"
    why = "there is no token in it yet" if "rotator" in name else "it is no regular file"
    with pytest.raises(ServiceTokenUnavailableError, match=why):
        Bot(api, source).manager.get_access_token()


def test_an_empty_store_says_so(api: Sandbox, tmp_path: Path) -> None:
    bot = Bot(api, f"dotenv://{tmp_path}/.env")
    with pytest.raises(ServiceTokenUnavailableError, match="there is no such file yet"):
        bot.manager.get_access_token()
    (tmp_path / ".env").touch(0o600)
    bot.stopwatch.seconds += 10
    with pytest.raises(ServiceTokenUnavailableError, match="there is no token in it yet"):
        bot.manager.get_access_token()


def test_the_place_is_named_once(api: Sandbox) -> None:
    with pytest.raises(ServiceTokenUnavailableError) as caught:
        TokenManager(api.url, "dotenv:/nowhere/.env").token_status()
    assert str(caught.value).count("dotenv:") == 1


def test_a_text_that_is_neither_a_token_nor_a_source_is_told_at_once(api: Sandbox) -> None:
    for text in ("", "token", "eyJ0.eyJ1.x", f"{api.issue()}\n", f'"{api.issue()}"'):
        with pytest.raises(MalformedTokenError, match="service_token: found neither a token nor a"):
            TokenManager(api.url, text)
    for text in ("floppy:token", "Bearer: x", f"token:{api.issue()}"):
        with pytest.raises(ConfigError, match=r"^service_token: ") as caught:
            TokenManager(api.url, text)
        assert "eyJ" not in str(caught.value)


def test_a_variable_that_is_not_set_is_told_at_once(api: Sandbox, tmp_path: Path) -> None:
    missing: Any = os.environ.get("THERE_IS_NONE")
    with pytest.raises(ConfigError, match="service_token: found NoneType, expected a text such as"):
        TokenManager(api.url, missing)
    with pytest.raises(ConfigError, match="api_url: found NoneType, expected a text"):
        TokenManager(missing, api.issue())
    with pytest.raises(ConfigError, match="email: found NoneType, expected a text, or a callable"):
        UserSession(api.url, missing, "password")
    with pytest.raises(ConfigError, match="password: found NoneType"):
        UserSession(api.url, "luna@example.com", missing)
    path: Any = tmp_path
    with pytest.raises(ConfigError, match="service_token: found PosixPath"):
        TokenManager(api.url, path)


@pytest.mark.parametrize("url", ["127.0.0.1", "https://nocturna.example/api "])
def test_a_url_that_is_none_is_told_with_what_was_found(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        TokenManager(url, "dotenv:.env")
    assert str(caught.value) == (
        f'api_url: found "{url}", expected a URL such as https://your-api-server.com/api'
    )


def test_a_token_in_the_place_of_the_url_is_not_shown(api: Sandbox) -> None:
    with pytest.raises(ConfigError, match=r"api_url: found .*<token>"):
        TokenManager(api.issue(), "dotenv:.env")


def test_a_token_that_was_passed_itself_and_is_refused_cannot_be_replaced(api: Sandbox) -> None:
    manager = TokenManager(api.url, api.issue())
    api.revoke(api.tokens[0].id)
    with pytest.raises(ServiceTokenRefusedError, match=r"pass a source such as dotenv:\.env"):
        manager.get_access_token()


def test_a_backend_that_is_hidden_is_told_at_once(api: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "backends.py").touch()
    code = "import sys; from rotator.client import TokenManager; TokenManager(*sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", code, api.url, "dotenv:.env"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    last = done.stderr.splitlines()[-1]
    assert last.startswith("rotator.errors.ConfigError: service_token: dotenv:.env: ")
    assert f"{tmp_path}/backends.py hides the backends of nocturna-rotator" in last
    assert last.endswith("a bot can also read file:PATH or env:NAME, or call a function")


def test_the_auth_of_one_library_says_so_to_the_other(bot: Bot) -> None:
    of_requests: Any = NocturnaAuth(bot.manager)
    of_httpx: Any = HttpxAuth(bot.manager)
    with pytest.raises(ConfigError, match="for requests: for httpx import it from"):
        httpx.get(bot.api.url, auth=of_requests, timeout=PATIENCE)
    with pytest.raises(ConfigError, match="for httpx: for requests import it from"):
        requests.get(bot.api.url, auth=of_httpx, timeout=PATIENCE)


@pytest.mark.parametrize("auth", [NocturnaAuth, HttpxAuth])
def test_an_auth_without_a_manager_is_told_at_once(auth: Callable[[Any], object]) -> None:
    with pytest.raises(ConfigError, match="tokens: found str, expected a TokenManager or a User"):
        auth("eyJ")


def test_a_current_folder_that_is_gone_is_told_at_once(
    api: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(ConfigError, match="the current folder is gone"):
        TokenManager(api.url, "file:token")


def test_the_error_of_a_callable_is_not_dragged_along(api: Sandbox) -> None:
    def careless() -> str:
        raise ValueError(api.issue())

    with pytest.raises(ServiceTokenUnavailableError) as caught:
        TokenManager(api.url, careless).get_access_token()
    text, error = "", caught.value.__context__
    while error:
        text, error = text + repr(error), error.__context__
    assert "it raised ValueError" in text
    assert "eyJ" not in text


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "expected a URL"),
        ("example.com/api", "expected a URL"),
        ("ftp://example.com/api", "expected a URL"),
        ("https:///api", "expected a URL"),
        ("https://[::1/api", "expected a URL"),
        ("https://example.com:x/api", "expected a URL"),
        ("https://example.com/api?x=1", "expected a URL"),
        ("https://user:password@example.com/api", "found a URL with a user or password"),
        ("http://example.com/api", "http would show the token"),
    ],
)
def test_an_address_that_cannot_work_is_told_at_once(api: Sandbox, url: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        TokenManager(url, api.issue())
    assert "password@" not in str(caught.value)


def test_plain_http_to_another_machine_needs_to_be_allowed(api: Sandbox) -> None:
    manager = TokenManager("http://example.com/api/", api.issue(), allow_insecure_http=True)
    assert manager.api_url == "http://example.com/api"

from pathlib import Path

import pytest

from tests.config.support import load, mistake

EXPECTED = "expected a URL such as https://your-api-server.com/api"


def api(url: str, more: str = "") -> str:
    return f"[api]\nurl = '{url}'\n{more}"


@pytest.mark.parametrize(
    "url",
    [
        "https://nocturna.example/api",
        "https://nocturna.example:8443/api",
        "HTTPS://NOCTURNA.example/api",
        "https://[2001:db8::1]/api",
        "http://localhost:8000/api",
        "http://127.0.0.1:8000/api",
        "http://127.1.2.3/api",
        "http://[::1]:8000/api",
    ],
)
def test_https_anywhere_and_http_on_loopback_are_fine(tmp_path: Path, url: str) -> None:
    assert load(tmp_path, api(url)).apis[0].url == url


def test_slashes_at_the_end_are_cut(tmp_path: Path) -> None:
    assert load(tmp_path, api("https://nocturna.example/api//")).apis[0].url == (
        "https://nocturna.example/api"
    )


@pytest.mark.parametrize("sign", ["?", "#"])
def test_a_query_is_a_mistake_and_is_not_shown(tmp_path: Path, sign: str) -> None:
    told = mistake(tmp_path, api(f"https://nocturna.example/api{sign}key=hunter2"))
    shown = f"https://nocturna.example/api{sign}..."
    assert told == f'rotator.toml: [api] url: found "{shown}", {EXPECTED}'


@pytest.mark.parametrize(
    "url",
    [
        "nocturna.example/api",
        "ftp://nocturna.example/api",
        "https://",
        "https:///api",
        "https://nocturna.example:99999/api",
        "https://nocturna.example:0/api",
        "https://nocturna.example:port/api",
        "https://[::1/api",
        "https://nocturna.example/api ",
        " https://nocturna.example/api",
        "https://nocturna.example/my api",
    ],
)
def test_what_is_no_url_of_an_api_is_a_mistake(tmp_path: Path, url: str) -> None:
    assert mistake(tmp_path, api(url)) == f'rotator.toml: [api] url: found "{url}", {EXPECTED}'


@pytest.mark.parametrize(
    "url",
    [
        "http://nocturna.example/api",
        "http://10.0.0.1/api",
        "http://127.0.0.1.example/api",
        "http://localhost.example/api",
        "http://0.0.0.0/api",
    ],
)
def test_http_to_another_machine_is_refused_unless_it_is_allowed(tmp_path: Path, url: str) -> None:
    message = mistake(tmp_path, api(url))
    assert message.startswith(f'rotator.toml: [api] url: found "{url}", expected https: ')
    assert "allow_insecure_http = true" in message
    assert load(tmp_path, api(url, "allow_insecure_http = true")).apis[0].url == url
    mistake(tmp_path, api(url, "allow_insecure_http = false"))


def test_a_file_may_allow_http_for_a_url_of_the_environment(tmp_path: Path) -> None:
    variables = {"NOCTURNA_API_URL": "http://nocturna.example/api"}
    message = mistake(tmp_path, variables=variables)
    assert message.startswith("environment: NOCTURNA_API_URL: found ")
    settings = load(tmp_path, "[api]\nallow_insecure_http = true", variables)
    assert settings.apis[0].url == variables["NOCTURNA_API_URL"]


@pytest.mark.parametrize("value", ['"true"', "1"])
def test_allowing_http_is_true_or_false(tmp_path: Path, value: str) -> None:
    toml = api("http://nocturna.example/api", f"allow_insecure_http = {value}")
    message = mistake(tmp_path, toml)
    assert message == (
        f"rotator.toml: [api] allow_insecure_http: found {value}, expected true or false"
    )


@pytest.mark.parametrize(
    "url",
    [
        "https://admin:hunter2@nocturna.example/api",
        "https://hunter2@nocturna.example/api",
        "https://admin:hunter2@[::1/api",
        "https://admin:hunt/er2@nocturna.example/api",
        "admin:hunter2@nocturna.example",
    ],
)
def test_a_user_or_password_in_a_url_is_refused_and_not_shown(tmp_path: Path, url: str) -> None:
    for message in (
        mistake(tmp_path, api(url)),
        mistake(tmp_path, "", {"NOCTURNA_API_URL": url}),
    ):
        assert "found a URL with a user or password in it, expected one without" in message
        assert not any(part in message for part in ("hunt", "er2", "admin:", "nocturna.example"))


@pytest.mark.parametrize(
    "toml",
    [
        '[api]\nurl = "https://admin:hunter2@nocturna.example/api\\n"',
        '[api]\nurl = ["https://admin:hunter2@nocturna.example/api"]',
        '[[token]]\nname = "luna"\nstores = "vault://admin:hunter2@vault.example/bots"',
        '[[token]]\nname = "luna"\nstores = [1, "vault://admin:hunter2@vault.example/bots"]',
    ],
    ids=["a line break", "a list", "a text instead of a list", "a list of all sorts"],
)
def test_a_password_in_a_value_of_another_kind_is_not_shown_either(
    tmp_path: Path, toml: str
) -> None:
    message = mistake(tmp_path, toml)
    assert "hunter2" not in message
    assert "found" in message

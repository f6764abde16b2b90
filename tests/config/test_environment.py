from datetime import timedelta
from pathlib import Path

import pytest

from rotator import wiring
from rotator.config.settings import Secret
from rotator.errors import ConfigError
from rotator.wiring import requirements
from tests.config.support import load, mistake
from tests.support.clock import FakeClock
from tests.support.sandbox import Sandbox

DAY = timedelta(days=1)
DURATION = "a duration above zero, such as 7d, 12h, 90m or 30s"
TIMEOUT = "a duration from 1s to 1h, such as 90s or 2m"
API = {
    "NOCTURNA_API_URL": "https://nocturna.example/api/",
    "NOCTURNA_ADMIN_EMAIL": "admin@example.com",
    "NOCTURNA_ADMIN_PASSWORD": " secret word ",
}


def test_the_environment_alone_is_enough_for_one_token(tmp_path: Path) -> None:
    settings = load(tmp_path, variables={**API, "ROTATOR_STORE": "dotenv:.env  dotenv:b.env\n"})
    [token] = settings.tokens
    assert token.name == "default"
    assert token.stores == ("dotenv:.env", "dotenv:b.env")
    assert (token.renew_before, token.validity) == (7 * DAY, 90 * DAY)
    assert (token.scope, token.probe) == (None, True)
    assert (token.retire, token.rotation_timeout) == (None, timedelta(minutes=2))
    assert (token.hooks, token.hook_timeout, token.notify) == ((), timedelta(minutes=1), ())
    assert settings.folder == tmp_path
    assert settings.apis[0].url == "https://nocturna.example/api"
    assert settings.apis[0].admin_email
    assert settings.apis[0].admin_email.get() == "admin@example.com"


def test_the_environment_sets_how_the_token_is_renewed(tmp_path: Path) -> None:
    variables = {
        "ROTATOR_STORE": "dotenv:.env",
        "ROTATOR_RENEW_BEFORE": "12h",
        "ROTATOR_VALIDITY": "30d",
        "ROTATOR_SCOPE": "charts",
        "ROTATOR_RETIRE": "1d",
        "ROTATOR_ROTATION_TIMEOUT": "5m",
        "ROTATOR_HOOK_TIMEOUT": "90s",
        "ROTATOR_NOTIFY": " json://a.example/?x=1,2\n  mailto://b.example ",
    }
    [token] = load(tmp_path, variables=variables).tokens
    assert (token.renew_before, token.validity, token.scope) == (DAY / 2, 30 * DAY, "charts")
    assert (token.retire, token.rotation_timeout) == (DAY, timedelta(minutes=5))
    assert token.hook_timeout == timedelta(seconds=90)
    assert [url.get() for url in token.notify] == ["json://a.example/?x=1,2", "mailto://b.example"]
    assert [url.origin for url in token.notify] == [
        "environment: ROTATOR_NOTIFY: URL 1",
        "environment: ROTATOR_NOTIFY: URL 2",
    ]


def test_empty_variables_count_as_not_set(tmp_path: Path) -> None:
    names = ["ROTATOR_STORE", "ROTATOR_CONFIG", "ROTATOR_SCOPE", "NOCTURNA_API_URL"]
    settings = load(tmp_path, variables=dict.fromkeys(names, ""))
    assert settings.tokens == ()
    assert settings.apis[0].url is None


def test_a_password_keeps_its_spaces_and_hides(tmp_path: Path) -> None:
    password = load(tmp_path, variables=API).apis[0].admin_password
    assert isinstance(password, Secret)
    assert password.get() == " secret word "
    assert "secret word" not in repr(password)


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"secret word\n", "secret word"),
        (b"secret word\r\n", "secret word"),
        (b" secret word ", " secret word "),
        (b"secret\n\n", "secret"),
        ("sëcret".encode(), "sëcret"),
    ],
    ids=["newline", "CRLF", "spaces", "two newlines", "not ASCII"],
)
def test_a_file_holds_the_password_up_to_its_line_breaks(
    tmp_path: Path, content: bytes, value: str
) -> None:
    (tmp_path / "password").write_bytes(content)
    variables = {"NOCTURNA_ADMIN_PASSWORD_FILE": "password"}
    password = load(tmp_path, variables=variables).apis[0].admin_password
    assert isinstance(password, Secret)
    assert password.get() == value


def test_a_password_file_is_read_anew_at_each_login(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("old")
    variables = {"NOCTURNA_ADMIN_PASSWORD_FILE": str(tmp_path / "password")}
    password = load(tmp_path, variables=variables).apis[0].admin_password
    assert isinstance(password, Secret)
    assert password.get() == "old"
    (tmp_path / "password").write_text("new")
    assert password.get() == "new"


def test_a_password_in_the_place_of_its_file_is_not_shown(tmp_path: Path) -> None:
    variables = {"NOCTURNA_ADMIN_PASSWORD_FILE": "hunter2"}
    password = load(tmp_path, variables=variables).apis[0].admin_password
    assert isinstance(password, Secret)
    with pytest.raises(ConfigError, match=r"found no such file in .*, expected the name") as caught:
        password.get()
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "cannot read {}: No such file or directory"),
        ("folder", "cannot read {}: Is a directory"),
        (b"", "{} is empty, expected the value in it"),
        (b"\n", "{} is empty, expected the value in it"),
        (b"\xff\xfe", "{} is not UTF-8 text"),
    ],
    ids=["missing", "a folder", "empty", "a line break", "not UTF-8"],
)
@pytest.mark.parametrize("name", ["NOCTURNA_ADMIN_PASSWORD_FILE", "NOCTURNA_ADMIN_EMAIL_FILE"])
def test_a_secret_that_cannot_be_read_is_one_line(
    tmp_path: Path, name: str, content: bytes | str | None, text: str
) -> None:
    path = tmp_path / "secret"
    if content == "folder":
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    other = "NOCTURNA_ADMIN_EMAIL" if "PASSWORD" in name else "NOCTURNA_ADMIN_PASSWORD"
    variables = {"NOCTURNA_API_URL": API["NOCTURNA_API_URL"], other: API[other], name: str(path)}
    with pytest.raises(ConfigError) as caught:
        requirements.require_login(load(tmp_path, variables=variables).apis[0])
    assert str(caught.value) == f"environment: {name}: {text.format(path)}"


@pytest.mark.parametrize(
    ("missing", "text"),
    [
        ("NOCTURNA_API_URL", "NOCTURNA_API_URL: found nothing, expected the API's URL"),
        (
            "NOCTURNA_ADMIN_EMAIL",
            "NOCTURNA_ADMIN_EMAIL: found nothing, expected the e-mail of an admin",
        ),
        (
            "NOCTURNA_ADMIN_PASSWORD",
            "NOCTURNA_ADMIN_PASSWORD_FILE or NOCTURNA_ADMIN_PASSWORD: found nothing, expected the",
        ),
    ],
)
def test_what_a_login_needs_and_is_not_there_is_named(
    tmp_path: Path, missing: str, text: str
) -> None:
    variables = {name: value for name, value in API.items() if name != missing}
    with pytest.raises(ConfigError) as caught:
        requirements.require_login(load(tmp_path, variables=variables).apis[0])
    assert str(caught.value).startswith(f"environment: {text}")


def test_stores_separated_by_commas_are_not_taken_for_one_file(tmp_path: Path) -> None:
    message = mistake(tmp_path, variables={"ROTATOR_STORE": "dotenv:.env,dotenv:b.env"})
    assert message == (
        "environment: ROTATOR_STORE: found a comma, expected spaces between store URLs"
    )


@pytest.mark.parametrize("name", ["ROTATOR_STORE", "NOCTURNA_API_URL", "ROTATOR_VALIDITY"])
def test_a_token_in_the_wrong_variable_is_not_shown(
    tmp_path: Path, api: Sandbox, clock: FakeClock, name: str
) -> None:
    secret = api.issue()
    with pytest.raises(ConfigError, match="<token>") as caught:
        wiring.build_rotations(load(tmp_path, variables={name: secret}), [], clock)
    assert secret[:20] not in str(caught.value)


def test_a_secret_given_twice_is_a_mistake(tmp_path: Path) -> None:
    message = mistake(tmp_path, variables={**API, "NOCTURNA_ADMIN_PASSWORD_FILE": "password"})
    assert message == (
        "environment: NOCTURNA_ADMIN_PASSWORD: found environment:"
        " NOCTURNA_ADMIN_PASSWORD_FILE beside it, expected only one"
    )


def test_a_password_of_bytes_that_are_no_text_is_not_shown(tmp_path: Path) -> None:
    message = mistake(tmp_path, variables={"NOCTURNA_ADMIN_PASSWORD": "secret\udcff"})
    assert message == (
        "environment: NOCTURNA_ADMIN_PASSWORD: found bytes that are not UTF-8, expected text"
    )


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ("ROTATOR_STORES", "ROTATOR_STORE"),
        ("ROTATOR_RENEW_BEFOR", "ROTATOR_RENEW_BEFORE"),
        ("ROTATOR_VALIDTY", "ROTATOR_VALIDITY"),
        ("NOCTURNA_ADMIN_PASSWRD", "NOCTURNA_ADMIN_PASSWORD"),
        ("NOCTURNA_ADMIN_PASSWORT_FILE", "NOCTURNA_ADMIN_PASSWORD_FILE"),
        ("NOCTURNA_API_URI", "NOCTURNA_API_URL"),
        ("ROTATOR_NOTIFYS", "ROTATOR_NOTIFY"),
        ("ROTATOR_HOOKS_TIMEOUT", "ROTATOR_HOOK_TIMEOUT"),
    ],
)
def test_a_misspelled_variable_is_a_mistake(tmp_path: Path, found: str, expected: str) -> None:
    message = mistake(tmp_path, variables={found: "a value that may be secret"})
    assert message == f"environment: {found}: found an unknown variable, expected {expected}"


@pytest.mark.parametrize(
    "name",
    [
        "ROTATOR_PORT",
        "ROTATOR_SERVICE_HOST",
        "NOCTURNA_API_PORT",
        "NOCTURNA_SERVICE_TOKEN",
        "STORE",
    ],
)
def test_a_variable_of_somebody_else_is_left_alone(tmp_path: Path, name: str) -> None:
    assert load(tmp_path, variables={name: "tcp://10.0.0.1:80"}).tokens == ()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("ROTATOR_RENEW_BEFORE", "7", DURATION),
        ("ROTATOR_VALIDITY", "90 days", "whole days from 1d to 365d"),
        ("ROTATOR_VALIDITY", "366d", "whole days from 1d to 365d"),
        ("ROTATOR_VALIDITY", "12h", "whole days from 1d to 365d"),
        ("ROTATOR_VALIDITY", "7d", "more than renew_before (7 days)"),
        ("ROTATOR_RENEW_BEFORE", "90d", "less than validity (90 days)"),
        ("ROTATOR_SCOPE", " ", "a text"),
        (
            "ROTATOR_RETIRE",
            "later",
            (
                '"never", "now", a time such as 1d, or a time without use such as "unused 24h" or'
                ' "unused 24h, at most 30d"'
            ),
        ),
        ("ROTATOR_ROTATION_TIMEOUT", "2", TIMEOUT),
        ("ROTATOR_ROTATION_TIMEOUT", "61m", TIMEOUT),
        ("ROTATOR_HOOK_TIMEOUT", "1d", TIMEOUT),
    ],
)
def test_a_wrong_value_names_the_variable_and_what_was_expected(
    tmp_path: Path, name: str, value: str, expected: str
) -> None:
    message = mistake(tmp_path, variables={"ROTATOR_STORE": "dotenv:.env", name: value})
    assert message == f'environment: {name}: found "{value}", expected {expected}'


def test_a_file_that_the_environment_hides_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = load(tmp_path, "[api]\n", {**API, "ROTATOR_STORE": "dotenv:.env"})
    assert [token.name for token in settings.tokens] == ["default"]
    [record] = caplog.records
    assert record.getMessage() == (
        "environment: ROTATOR_STORE is set, so the rotator.toml in the current folder is not used:"
        " unset the variable to use the file"
    )

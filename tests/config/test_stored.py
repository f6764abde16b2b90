"""The key `admin_password`: a password out of a store, and never in the file itself."""

from pathlib import Path

import pytest

from rotator import wiring
from rotator.config.settings import Secret, Settings
from rotator.errors import ConfigError
from rotator.wiring import requirements
from tests.config.support import load, mistake
from tests.support.clock import FakeClock

IN_API = "rotator.toml: [api] admin_password: "
EXPECTED = (
    "expected the URL of a store that holds the password, such as"
    " vault://secret/nocturna#password; the password itself may stand in a file"
    " (admin_password_file) or in the variable NOCTURNA_ADMIN_PASSWORD"
)
API = '[api]\nurl = "https://nocturna.example/api"\nadmin_email = "a@example.com"\n'
TOKEN = '[[token]]\nname = "luna"\nstores = ["dotenv:.env"]\n'


def stored(folder: Path, url: str, more: str = TOKEN) -> Settings:
    return load(folder, f"{API}admin_password = '{url}'\n{more}")


@pytest.mark.parametrize(
    "url",
    [
        "vault://secret/nocturna#password",
        "dotenv:admin.env#ADMIN_PASSWORD",
        "aws-secretsmanager://nocturna/admin?region=eu-west-1#password",
        "aws-secretsmanager://nocturna/admin?region=eu-west-1",
        "aws-ssm:/nocturna/admin?region=eu-west-1",
        "AWS-SecretsManager://nocturna/admin",
    ],
)
def test_a_store_may_hold_the_password(tmp_path: Path, url: str) -> None:
    api = stored(tmp_path, url).apis[0]
    assert api.admin_password == (IN_API.removesuffix(": "), url, tmp_path)


@pytest.mark.parametrize(
    "value",
    ['"hunter2"', '"hunter2 vault://a#b"', '"a:hunter2\\u0001#b"', '""', "5", '["hunter2"]'],
)
def test_a_password_in_the_file_is_refused_and_not_shown(tmp_path: Path, value: str) -> None:
    message = mistake(tmp_path, f"{API}admin_password = {value}")
    assert message == f"{IN_API}found no store URL (what is there is not shown), {EXPECTED}"


@pytest.mark.parametrize("value", ["vault://secret/nocturna", "dotenv:.env#", "hunter2:hunter2"])
def test_the_field_of_service_tokens_is_no_default_for_a_password(
    tmp_path: Path, value: str
) -> None:
    message = mistake(tmp_path, f'{API}admin_password = "{value}"')
    assert message == (f"{IN_API}found no #FIELD at its end (the rest is not shown), {EXPECTED}")


def test_a_password_that_looks_like_a_url_is_refused_and_not_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        requirements.require_login(stored(tmp_path, "hunter2:hunter2#hunter2").apis[0])
    assert str(caught.value) == (
        f"{IN_API}found a URL that no installed package serves (it is not shown), {EXPECTED}"
    )


def test_a_mistake_in_the_url_is_told_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        requirements.require_login(stored(tmp_path, "dotenv:.env?a=b#ADMIN_PASSWORD").apis[0])
    assert str(caught.value).startswith(f"{IN_API}a dotenv: store takes no options, found 'a'")


def test_a_password_in_two_places_is_a_mistake(tmp_path: Path) -> None:
    toml = f'{API}admin_password = "vault://a/b#c"\nadmin_password_file = "x"'
    assert mistake(tmp_path, toml) == (
        f"{IN_API}found rotator.toml: [api] admin_password_file beside it, expected only one"
    )


@pytest.mark.parametrize("name", ["NOCTURNA_ADMIN_PASSWORD", "NOCTURNA_ADMIN_PASSWORD_FILE"])
def test_the_environment_wins_over_the_store(tmp_path: Path, name: str) -> None:
    toml = f'{API}admin_password = "vault://a/b#c"'
    api = load(tmp_path, toml, {name: "hunter2"}).apis[0]
    assert isinstance(api.admin_password, Secret)
    assert api.admin_password.origin == f"environment: {name}"


def test_a_variable_holds_the_password_itself_and_no_url(tmp_path: Path) -> None:
    api = load(tmp_path, API, {"NOCTURNA_ADMIN_PASSWORD": "vault://a/b#c"}).apis[0]
    assert isinstance(api.admin_password, Secret)
    assert api.admin_password.get() == "vault://a/b#c"


@pytest.mark.parametrize("field", ["ADMIN_PASSWORD", "NOCTURNA_SERVICE_TOKEN"])
def test_no_token_may_overwrite_the_password(tmp_path: Path, clock: FakeClock, field: str) -> None:
    more = TOKEN.replace(".env", f"sub/../.env#{field}")
    settings = stored(tmp_path, f"dotenv:.env#{field}", more)
    with pytest.raises(ConfigError) as caught:
        wiring.build_rotations(settings, [], clock)
    assert str(caught.value) == (
        f'rotator.toml: [[token]] "luna" stores: found dotenv://{tmp_path}/.env#{field} a second'
        " time (also in rotator.toml: [api] admin_password), expected each store once"
    )


def test_a_look_at_the_tokens_does_not_need_the_store_of_the_password(
    tmp_path: Path, clock: FakeClock
) -> None:
    settings = stored(tmp_path, "floppy:a#b")
    assert len(wiring.build_rotations(settings, [], clock)) == 1

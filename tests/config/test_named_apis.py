"""Several APIs in one file: each has a name, and each token refers to one."""

from pathlib import Path

import pytest

from rotator import wiring
from rotator.config.settings import Secret
from rotator.errors import ConfigError
from rotator.wiring import selection
from tests.config.support import load, mistake

EU = """
[[api]]
name = "eu"
url = "https://eu.example.com/api"
admin_email = "admin@example.com"
admin_password_file = "eu-password"
"""
US = EU.replace("eu", "us").replace("admin@example.com", "root@example.com")
LUNA = '[[token]]\nname = "luna"\nstores = ["dotenv:luna.env"]\n'
SOL = '[[token]]\nname = "sol"\nstores = ["dotenv:sol.env"]\napi = "us"\n'
TWO = f'{EU}{US}connections = 2\n[defaults]\napi = "eu"\n{LUNA}{SOL}'


def test_each_token_has_its_api_of_its_own_or_by_default(tmp_path: Path) -> None:
    settings = load(tmp_path, TWO)
    assert [api.name for api in settings.apis] == ["eu", "us"]
    luna, sol = settings.tokens
    assert settings.api_of(luna).url == "https://eu.example.com/api"
    assert settings.api_of(sol).url == "https://us.example.com/api"
    assert settings.api_of(sol).connections == 2
    assert settings.tokens_of(settings.apis[1]) == (sol,)
    password = settings.apis[1].admin_password
    assert isinstance(password, Secret)
    assert password.file == tmp_path / "us-password"


def test_one_api_may_have_a_name_too(tmp_path: Path) -> None:
    settings = load(tmp_path, f'{EU}{LUNA}api = "eu"\n')
    assert [api.name for api in settings.apis] == ["eu"]


def test_a_single_api_has_no_name(tmp_path: Path) -> None:
    settings = load(tmp_path, EU.replace("[[api]]", "[api]").replace('name = "eu"', "") + LUNA)
    assert [api.name for api in settings.apis] == [""]
    assert settings.tokens[0].api == ""


@pytest.mark.parametrize(
    ("toml", "expected"),
    [
        (
            f"{EU}{US}{LUNA}",
            '[[token]] "luna" api: found nothing, expected one of: eu, us',
        ),
        (
            f'{EU}{US}{LUNA}api = "mars"',
            '[[token]] "luna" api: found "mars", expected one of: eu, us',
        ),
        (
            f"{EU}{US}{LUNA}api = 1",
            '[[token]] "luna" api: found 1, expected the name of an [[api]]',
        ),
        (
            f'{EU.replace("[[api]]", "[api]").replace("name", "#")}{LUNA}api = "eu"',
            (
                '[[token]] "luna" api: found "eu", expected nothing beside [api]; several'
                " APIs have an [[api]] each"
            ),
        ),
        (
            f'{EU}{EU}{LUNA}api = "eu"',
            ('[[api]] "eu" name: found a second API of this name, expected another name'),
        ),
        (
            f'{EU}{US.replace("name", "#")}{LUNA}api = "eu"',
            (
                "[[api]] 2 name: found nothing, expected a name of letters, digits and"
                " . _ - (64 at most)"
            ),
        ),
        (
            f'{EU}{US.replace("https", "http")}{LUNA}api = "eu"',
            (
                '[[api]] "us" url: found "http://us.example.com/api", expected https: http'
                " would show the password to the network (allow_insecure_http = true in [[api]]"
                " permits it)"
            ),
        ),
        (
            f'{EU}admin_email_file = "x"\n{LUNA}api = "eu"',
            (
                '[[api]] "eu" admin_email: found rotator.toml: [[api]] "eu"'
                " admin_email_file beside it, expected only one"
            ),
        ),
        (
            f'{EU}uri = "x"\n{LUNA}api = "eu"',
            '[[api]] "eu" uri: found an unknown key, expected url',
        ),
        (f"api = []\n{LUNA}", "api: found an empty list, expected a table: [api]"),
    ],
)
def test_a_mistake_names_the_api(tmp_path: Path, toml: str, expected: str) -> None:
    assert mistake(tmp_path, toml) == f"rotator.toml: {expected}"


def test_variables_are_for_a_single_api(tmp_path: Path) -> None:
    assert mistake(tmp_path, TWO, {"NOCTURNA_API_URL": "https://x.example/api"}) == (
        "environment: NOCTURNA_API_URL: found beside [[api]] in rotator.toml, expected only one of"
        " them: variables are for a single [api]"
    )


def test_what_is_missing_is_told_of_each(tmp_path: Path) -> None:
    toml = TWO.replace('admin_email = "root@example.com"', "").replace(
        'admin_password_file = "eu-password"', ""
    )
    (tmp_path / "us-password").write_text("x\n")
    assert wiring.find_mistakes(load(tmp_path, toml)) == [
        (
            'rotator.toml: [[api]] "eu" admin_password_file: found nothing, expected the admin\'s'
            " password"
        ),
        'rotator.toml: [[api]] "us" admin_email: found nothing, expected the e-mail of an admin',
    ]


def test_tokens_of_two_apis_may_not_share_a_store(tmp_path: Path) -> None:
    toml = TWO.replace("sol.env", "luna.env")
    [said] = wiring.open_stores(load(tmp_path, toml))[1]
    assert said.endswith("(also in luna), expected each store once")


def test_one_account_may_not_have_two_names(tmp_path: Path) -> None:
    for name in ("eu", "us"):
        (tmp_path / f"{name}-password").write_text("x\n")
    toml = TWO.replace("https://us.example.com", "https://EU.example.com")
    assert wiring.find_mistakes(load(tmp_path, toml)) == []  # another account of the same server
    assert wiring.find_mistakes(load(tmp_path, toml.replace("root@", "admin@"))) == [
        (
            'rotator.toml: [[api]] "us": found the URL and the account of "eu", expected one'
            " [[api]] for both"
        )
    ]


@pytest.mark.parametrize(
    ("name", "tokens", "found"),
    [
        ("us", [], "us"),
        (None, ["luna"], "eu"),
        ("us", ["sol"], "us"),
        (None, [], "found several APIs (eu, us), expected --api with one of them"),
        (None, ["luna", "sol"], "found several APIs (eu, us), expected the tokens of one"),
        ("us", ["luna"], "found several APIs (eu, us), expected the tokens of one"),
        ("mars", [], 'there is no API "mars", expected one of: eu, us'),
    ],
)
def test_a_command_that_needs_one_api_finds_it(
    tmp_path: Path, name: str | None, tokens: list[str], found: str
) -> None:
    settings = load(tmp_path, TWO)
    try:
        assert selection.choose_api(settings, name, tokens).name == found
    except ConfigError as error:
        assert str(error) == found  # noqa: PT017 - some rows have an error


def test_a_single_api_needs_no_option(tmp_path: Path) -> None:
    settings = load(tmp_path, EU.replace("[[api]]", "[api]").replace("name", "#") + LUNA)
    assert selection.choose_api(settings, None).name == ""
    with pytest.raises(ConfigError, match='there is no API "eu", expected no --api'):
        selection.choose_api(settings, "eu")

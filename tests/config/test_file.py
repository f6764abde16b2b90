from datetime import timedelta
from pathlib import Path

import pytest

from rotator import wiring
from rotator.config.settings import Secret, Unused
from rotator.errors import ConfigError
from rotator.wiring import requirements
from tests.config.support import load, mistake
from tests.support.clock import FakeClock

DAY = timedelta(days=1)
TWO = """
[api]
url = "https://nocturna.example/api"
admin_email = "file@example.com"
admin_password_file = "secrets/password"

[defaults]
renew_before = "3d"
scope = "charts"
probe = false
retire = "now"
max_age = "90d"

[[token]]
name = "luna-bot"
stores = ["dotenv:luna.env#TOKEN", "dotenv:/srv/luna.env"]

[[token]]
name = "sol-bot"
stores = ["dotenv:sol.env"]
renew_before = "14d"
validity = "365d"
probe = true
retire = "never"
max_age = "351d"
allow_eternal = false
"""


def test_a_file_holds_many_tokens(tmp_path: Path) -> None:
    luna, sol = load(tmp_path, TWO).tokens
    assert (luna.name, sol.name) == ("luna-bot", "sol-bot")
    assert luna.stores == ("dotenv:luna.env#TOKEN", "dotenv:/srv/luna.env")


def test_defaults_count_where_a_token_says_nothing(tmp_path: Path) -> None:
    luna, sol = load(tmp_path, TWO).tokens
    assert (luna.renew_before, luna.validity) == (3 * DAY, 90 * DAY)
    assert (luna.scope, luna.probe, luna.retire) == ("charts", False, timedelta())
    assert (sol.renew_before, sol.validity) == (14 * DAY, 365 * DAY)
    assert (sol.scope, sol.probe, sol.retire) == ("charts", True, None)
    assert (luna.max_age, luna.allow_eternal) == (90 * DAY, True)
    assert (sol.max_age, sol.allow_eternal) == (351 * DAY, False)


@pytest.mark.parametrize(
    ("text", "retire"),
    [
        ("unused 24h", Unused(DAY)),
        ("unused 90m, at most 30d", Unused(timedelta(minutes=90), 30 * DAY)),
    ],
)
def test_an_old_token_may_end_once_nobody_uses_it(
    tmp_path: Path, text: str, retire: Unused
) -> None:
    token = f'[[token]]\nname = "luna-bot"\nstores = ["dotenv:.env"]\nretire = "{text}"\n'
    assert load(tmp_path, token).tokens[0].retire == retire


@pytest.mark.parametrize("absolute", [False, True])
def test_relative_files_start_at_the_folder_of_the_config(
    tmp_path: Path, clock: FakeClock, *, absolute: bool
) -> None:
    (tmp_path / "conf/secrets").mkdir(parents=True)
    (tmp_path / "conf/secrets/password").write_text("from the file\n")
    named = str(tmp_path / "conf/bots.toml") if absolute else "conf/bots.toml"
    settings = load(tmp_path, TWO, named=named)
    assert settings.folder == tmp_path / "conf"
    assert isinstance(settings.apis[0].admin_password, Secret)
    assert settings.apis[0].admin_password.get() == "from the file"
    luna, _ = wiring.build_rotations(settings, [], clock)
    report = luna.check(probe=False)
    assert report.stores[0].store == f"dotenv://{tmp_path}/conf/luna.env#TOKEN"


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    variables = {
        "NOCTURNA_API_URL": "https://other.example/api",
        "NOCTURNA_ADMIN_EMAIL": "env@example.com",
        "NOCTURNA_ADMIN_PASSWORD": "from the environment",
    }
    api = load(tmp_path, TWO, variables).apis[0]
    assert api.url == "https://other.example/api"
    assert api.admin_email
    assert api.admin_email.get() == "env@example.com"
    assert isinstance(api.admin_password, Secret)
    assert api.admin_password.get() == "from the environment"


def test_a_secrets_file_of_the_environment_wins_over_a_value_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "email").write_text("env@example.com\n")
    variables = {"NOCTURNA_ADMIN_EMAIL_FILE": str(tmp_path / "email")}
    email = load(tmp_path, TWO, variables).apis[0].admin_email
    assert email
    assert email.get() == "env@example.com"


def test_the_file_that_an_option_names_wins_over_that_of_the_environment(tmp_path: Path) -> None:
    (tmp_path / "env.toml").write_text(TWO.replace("luna", "env"))
    load(tmp_path, TWO, named="option.toml")
    variables = {"ROTATOR_CONFIG": "env.toml"}
    assert load(tmp_path, variables=variables).tokens[0].name == "env-bot"
    assert load(tmp_path, variables=variables, named="option.toml").tokens[0].name == "luna-bot"


def test_a_store_in_the_environment_wins_over_a_file_that_nobody_named(tmp_path: Path) -> None:
    [token] = load(tmp_path, TWO, {"ROTATOR_STORE": "dotenv:.env"}).tokens
    assert token.name == "default"


@pytest.mark.parametrize("name", ["ROTATOR_STORE", "ROTATOR_SCOPE", "ROTATOR_VALIDITY"])
def test_a_variable_about_the_one_token_beside_a_named_file_is_a_mistake(
    tmp_path: Path, name: str
) -> None:
    message = mistake(tmp_path, TWO, {name: "x"}, named="bots.toml")
    assert message == (
        f"environment: {name}: found beside the config file bots.toml, expected only one of them to"
        " configure tokens"
    )


def test_a_file_without_tokens_is_read(tmp_path: Path) -> None:
    assert load(tmp_path, "").tokens == ()


@pytest.mark.parametrize(
    ("toml", "text"),
    [
        (b"[api\n", "found broken TOML: "),
        (b"a = 1\na = 2\n", "found broken TOML: "),
        (b"a = \xff\n", "found bytes that are not UTF-8, expected TOML"),
        (b"a = " + b"9" * 5000, "found TOML that is too large, expected settings"),
        (b"a = " + b"[" * 5000 + b"]" * 5000, "found TOML that is too large, expected settings"),
    ],
    ids=["a bracket", "a key twice", "bytes", "a long number", "too deep"],
)
def test_a_file_that_is_no_toml_is_one_line(tmp_path: Path, toml: bytes, text: str) -> None:
    assert mistake(tmp_path, toml).startswith(f"rotator.toml: {text}")


@pytest.mark.parametrize(
    ("named", "why"), [("missing.toml", "No such file or directory"), (".", "Is a directory")]
)
def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, named: str, why: str) -> None:
    message = mistake(tmp_path, named=named)
    assert message == f"{named}: cannot read it: {why}"


def test_what_is_missing_is_looked_for_in_the_file(tmp_path: Path, clock: FakeClock) -> None:
    settings = load(tmp_path, "[defaults]\n")
    with pytest.raises(ConfigError, match=r"rotator.toml: found no \[\[token\]\]"):
        wiring.build_rotations(settings, [], clock)
    with pytest.raises(ConfigError, match=r"rotator.toml: \[api\] url: found nothing"):
        requirements.require_url(settings.apis[0])


def test_a_byte_order_mark_is_no_broken_toml(tmp_path: Path) -> None:
    (tmp_path / "bom.toml").write_text(f"\ufeff{TWO}", "utf-8")
    assert len(load(tmp_path, named="bom.toml").tokens) == 2

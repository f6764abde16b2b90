from pathlib import Path

import pytest

from rotator import wiring
from rotator.errors import ConfigError
from tests.config.support import load, mistake
from tests.support.clock import FakeClock

TOKEN = '[[token]]\nname = "luna"\nstores = ["dotenv:.env"]\n'
API = '[api]\nadmin_email = "a@example.com"\n'
IN_API = "rotator.toml: [api] "
IN_TOKEN = 'rotator.toml: [[token]] "luna" '
NAME = "expected a name of letters, digits and . _ - (64 at most)"
STORES = 'expected a list of store URLs such as ["dotenv:.env"]'
DURATION = "expected a duration above zero, such as 7d, 12h, 90m or 30s"
TIMEOUT = "expected a duration from 1s to 1h, such as 90s or 2m"
FILE = "expected the path of a file"
DAYS = "expected whole days from 1d to 365d"
RETIRE = (
    'expected "never", "now", a time such as 1d, or a time without use such as "unused 24h" or'
    ' "unused 24h, at most 30d"'
)


MISTAKES = [
    ("tokens = 1", "rotator.toml: tokens: found an unknown key, expected token"),
    (
        "x = 1",
        "rotator.toml: x: found an unknown key, expected one of: api, limits, defaults, token",
    ),
    ("[api]\nurll = 1", f"{IN_API}urll: found an unknown key, expected url"),
    (
        '[api]\nadmin_passwort = "secret"',
        f"{IN_API}admin_passwort: found an unknown key, expected admin_password",
    ),
    (
        "[defaults]\nrenew_befor = 1",
        "rotator.toml: [defaults] renew_befor: found an unknown key, expected renew_before",
    ),
    (f"{TOKEN}store = 1", f"{IN_TOKEN}store: found an unknown key, expected stores"),
    ("token = 5", "rotator.toml: token: found 5, expected a list of tables: [[token]]"),
    ("token = [5]", "rotator.toml: token: found a list, expected a list of tables: [[token]]"),
    (
        "[token]\n",
        "rotator.toml: token: found an empty table, expected a list of tables: [[token]]",
    ),
    ("api = true", "rotator.toml: api: found true, expected a table: [api]"),
    ('defaults = "x"', "rotator.toml: defaults: found a text, expected a table: [defaults]"),
    (
        'api = ["secret"]',
        "rotator.toml: api: found a list, expected a table: [api]",
    ),
    (
        '[[defaults]]\nnotify = ["slack://secret"]',
        "rotator.toml: defaults: found a list, expected a table: [defaults]",
    ),
    (
        '[token]\nnotify = ["slack://secret"]',
        "rotator.toml: token: found a table, expected a list of tables: [[token]]",
    ),
    ('api = "secret"', "rotator.toml: api: found a text, expected a table: [api]"),
    (
        '[api.url]\nadmin_password = "secret"',
        f"{IN_API}url: found a table, expected a URL such as https://your-api-server.com/api",
    ),
    (
        '[api]\nallow_insecure_http = ["secret"]',
        f"{IN_API}allow_insecure_http: found a list, expected true or false",
    ),
    (
        '[api]\nadmin_password_file = ["secret"]',
        f"{IN_API}admin_password_file: found a list, {FILE}",
    ),
    (
        f'{TOKEN}hook_timeout = {{ password = "secret" }}',
        f"{IN_TOKEN}hook_timeout: found a table, {TIMEOUT}",
    ),
    (
        f'{TOKEN}scope = "eyJhbGciOiJIUzI1NiJ9.eyJ0eXBlIjoic2VydmljZSJ9.AAAA"',
        f"{IN_TOKEN}scope: found a token, expected the name of a scope, such as calculations",
    ),
    (
        f'{TOKEN}renew_before = "1s"',
        f'{IN_TOKEN}renew_before: found "1s", expected at least rotation_timeout (2 minutes)',
    ),
    (
        f'{TOKEN}retire = "91d"',
        f'{IN_TOKEN}retire: found "91d", expected at most validity (90 days)',
    ),
    (
        f'{TOKEN}max_age = "82d"',
        f'{IN_TOKEN}max_age: found "82d", expected at least validity less renew_before (83 days)',
    ),
    (
        f'{TOKEN}allow_eternal = "no"',
        f'{IN_TOKEN}allow_eternal: found "no", expected true or false',
    ),
    (
        f'{TOKEN}retire = "unused 91d"',
        f'{IN_TOKEN}retire: found "unused 91d", expected at most validity (90 days)',
    ),
    (
        f'{TOKEN}retire = "unused 1d, at most 91d"',
        f'{IN_TOKEN}retire: found "unused 1d, at most 91d", expected at most validity (90 days)',
    ),
    (
        f'{TOKEN}retire = "unused 59m"',
        f'{IN_TOKEN}retire: found "unused 59m", expected a time without use of at least 1 hour',
    ),
    (
        f'{TOKEN}retire = "unused 2d, at most 2d"',
        f'{IN_TOKEN}retire: found "unused 2d, at most 2d", expected more than 2 days after at most',
    ),
    (
        '[api]\nadmin_email = "a@example.com\\nb"',
        f"{IN_API}admin_email: found line breaks or control characters, expected text on one line",
    ),
    (
        '[[token]]\nname = "luna"\nstores = []',
        f"{IN_TOKEN}stores: found an empty list, {STORES}",
    ),
    ('[[token]]\nstores = ["a:b"]', f"rotator.toml: [[token]] 1 name: found nothing, {NAME}"),
    ('[[token]]\nname = "luna"', f"{IN_TOKEN}stores: found nothing, {STORES}"),
    (
        '[[token]]\nname = "luna"\nstores = "dotenv:.env"',
        f'{IN_TOKEN}stores: found "dotenv:.env", {STORES}',
    ),
    ('[[token]]\nname = "luna"\nstores = [1]', f"{IN_TOKEN}stores: found a list, {STORES}"),
    (
        '[[token]]\nname = "a/b"\nstores = ["a:b"]',
        f'rotator.toml: [[token]] "a/b" name: found "a/b", {NAME}',
    ),
    (
        '[[token]]\nname = 5\nstores = ["a:b"]',
        f"rotator.toml: [[token]] 1 name: found 5, {NAME}",
    ),
    (f"{TOKEN}renew_before = 7", f"{IN_TOKEN}renew_before: found 7, {DURATION}"),
    (f'{TOKEN}validity = "1y"', f'{IN_TOKEN}validity: found "1y", {DAYS}'),
    (f'{TOKEN}probe = "no"', f'{IN_TOKEN}probe: found "no", expected true or false'),
    (f"{TOKEN}scope = 5", f"{IN_TOKEN}scope: found 5, expected a text"),
    (f'{TOKEN}scope = ""', f'{IN_TOKEN}scope: found "", expected a text'),
    (f'{TOKEN}scope = "a\\nb"', f'{IN_TOKEN}scope: found "a\\nb", expected a text'),
    *(
        (f"{TOKEN}retire = {value}", f"{IN_TOKEN}retire: found {value}, {RETIRE}")
        for value in (
            *('"later"', '"0d"', '""', "5", "false"),
            *('"unused"', '"unused 1y"', '"unused 1d at most 2d"', '"unused 1d, at most"'),
        )
    ),
    *(
        (
            f'{TOKEN}{key} = "{value}"',
            f'{IN_TOKEN}{key}: found "{value}", {TIMEOUT}',
        )
        for key in ("rotation_timeout", "hook_timeout")
        for value in ("3601s", "61m", "2h", "1d")
    ),
    (f"{TOKEN}rotation_timeout = 2", f"{IN_TOKEN}rotation_timeout: found 2, {TIMEOUT}"),
    (f'{TOKEN}hook_timeout = "0s"', f'{IN_TOKEN}hook_timeout: found "0s", {TIMEOUT}'),
    *(
        (
            f'{TOKEN}renew_before = "1m"\nvalidity = "{validity}"',
            f'{IN_TOKEN}validity: found "{validity}", {DAYS}',
        )
        for validity in ("366d", "12h", "36h", "1439m")
    ),
    (
        f'{TOKEN}renew_before = "30d"\nvalidity = "30d"',
        f'{IN_TOKEN}validity: found "30d", expected more than renew_before (30 days)',
    ),
    (
        f'{TOKEN}renew_before = "90d"',
        f'{IN_TOKEN}renew_before: found "90d", expected less than validity (90 days)',
    ),
    (
        f'[defaults]\nvalidity = "0d"\n{TOKEN}',
        f'rotator.toml: [defaults] validity: found "0d", {DAYS}',
    ),
    (
        f'{TOKEN}[[token]]\nname = "luna"\nstores = ["dotenv:b"]',
        f"{IN_TOKEN}(line 4) name: found a second token of this name, expected another name",
    ),
    (
        'token = [{name = "luna", stores = ["dotenv:a"]}, {name = "luna", stores = ["dotenv:b"]}]',
        f"{IN_TOKEN}(number 2) name: found a second token of this name, expected another name",
    ),
    *(
        (text, f"rotator.toml: line {line}: found [token], expected [[token]]")
        for text, line in (
            (f'[token]\nname = "sol"\n[token]\n{TOKEN}', 1),
            (f'{TOKEN}[ token ]\nname = "sol"\n', 4),
        )
    ),
    (
        f'{API}admin_email_file = "x"',
        f"{IN_API}admin_email: found {IN_API}admin_email_file beside it, expected only one",
    ),
    (
        "[api]\nadmin_email = 5",
        f"{IN_API}admin_email: found a number, expected a text that is not empty",
    ),
    (
        "[api]\nadmin_password_file = 5",
        f"{IN_API}admin_password_file: found 5, expected the path of a file",
    ),
    (
        f'{TOKEN}retire = "{"x" * 90}"',
        f'{IN_TOKEN}retire: found "{"x" * 59}…, {RETIRE}',
    ),
]


@pytest.mark.parametrize(
    ("toml", "message"),
    MISTAKES,
    ids=[message.removeprefix("rotator.toml: ") for _, message in MISTAKES],
)
def test_a_mistake_is_one_line_with_place_found_and_expected(
    tmp_path: Path, toml: str, message: str
) -> None:
    assert mistake(tmp_path, toml) == message


def test_both_ends_of_a_timeout_are_allowed(tmp_path: Path) -> None:
    for timeout in ("1s", "3600s", "60m", "1h"):
        toml = f'{TOKEN}rotation_timeout = "{timeout}"\nhook_timeout = "{timeout}"'
        [token] = load(tmp_path, toml).tokens
        assert token.rotation_timeout == token.hook_timeout
        assert token.hook_timeout.total_seconds() in (1, 3600)


def test_both_ends_of_the_validity_are_allowed(tmp_path: Path) -> None:
    for validity in ("1d", "24h", "365d"):
        toml = f'{TOKEN}renew_before = "1h"\nvalidity = "{validity}"'
        assert load(tmp_path, toml).tokens[0].validity.seconds == 0


@pytest.mark.parametrize(
    "other",
    [
        "dotenv:.env",
        "dotenv:./.env",
        "DOTENV:.env",
        "dotenv:sub/../.env",
        "dotenv:%2Eenv",
        "dotenv:.env#NOCTURNA_SERVICE_TOKEN",
        "dotenv:link.env",
        "dotenv://{folder}/.env",
    ],
)
def test_the_same_store_twice_is_a_mistake_however_it_is_written(
    tmp_path: Path, clock: FakeClock, other: str
) -> None:
    (tmp_path / "link.env").symlink_to(".env")
    other = other.format(folder=tmp_path)
    settings = load(tmp_path, f'{TOKEN}[[token]]\nname = "sol"\nstores = ["{other}"]')
    with pytest.raises(ConfigError) as caught:
        wiring.build_rotations(settings, [], clock)
    assert str(caught.value) == (
        f'rotator.toml: [[token]] "sol" stores: found dotenv://{tmp_path}/.env'
        "#NOCTURNA_SERVICE_TOKEN a second time (also in luna), expected each store once"
    )


def test_another_variable_of_the_same_file_is_another_store(
    tmp_path: Path, clock: FakeClock
) -> None:
    settings = load(tmp_path, f'{TOKEN}[[token]]\nname = "sol"\nstores = ["dotenv:.env#SOL"]')
    assert [each.name for each in wiring.build_rotations(settings, [], clock)] == [
        "luna",
        "sol",
    ]


def test_a_broken_store_url_is_told_with_its_token(tmp_path: Path, clock: FakeClock) -> None:
    settings = load(tmp_path, TOKEN.replace("dotenv:.env", "floppy:a"))
    with pytest.raises(
        ConfigError, match=r'"luna" stores: no installed package serves floppy: stores'
    ):
        wiring.build_rotations(settings, [], clock)

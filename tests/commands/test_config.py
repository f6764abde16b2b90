"""`rotator config`: every mistake at once, what is in force, and the schema."""

import json
import tomllib

import pytest
from jsonschema import Draft7Validator

from rotator.config.keys import TABLES
from tests.config.schemas import OF_FILE
from tests.support.process import Runner

MANY = """
[api]
urll = "https://nocturna.example/api"
admin_email = "admin@example.com"
admin_password = "hunter2"
allow_insecure_http = "yes"

[defaults]
validity = "0d"

[[token]]
name = "luna"
stores = ["dotenv:.env", "floppy:a"]
scope = 5

[[token]]
name = "luna"
stores = ["dotenv:./.env"]
restart = ["luna"]

[[token]]
stores = ["dotenv:sol.env"]
validity = "5d"
"""
NAME = "a name of letters, digits and . _ - (64 at most)"
STORED = (
    "the URL of a store that holds the password, such as vault://secret/nocturna#password; the"
    " password itself may stand in a file (admin_password_file) or in the variable"
    " NOCTURNA_ADMIN_PASSWORD"
)
ALL = f"""\
environment: ROTATOR_STORES: found an unknown variable, expected ROTATOR_STORE
rotator.toml: [api] urll: found an unknown key, expected url
rotator.toml: [api] admin_password: found no store URL (what is there is not shown), expected \
{STORED}
rotator.toml: [api] allow_insecure_http: found "yes", expected true or false
rotator.toml: [defaults] validity: found "0d", expected whole days from 1d to 365d
rotator.toml: [[token]] "luna" (line 11) scope: found 5, expected a text
rotator.toml: [[token]] "luna" (line 16) restart: found "luna" as workload 1, expected \
a list of workloads, each as [NAMESPACE/]KIND/NAME with the kind deployment, statefulset or \
daemonset, such as \
["deployment/luna-bot", "bots/statefulset/sol-bot"]
rotator.toml: [[token]] "luna" (line 16) name: found a second token of this name, expected another \
name
rotator.toml: [[token]] 3 name: found nothing, expected {NAME}
rotator.toml: [[token]] 3 validity: found "5d", expected more than renew_before (7 days)
rotator.toml: [api] url: found nothing, expected the API's URL, which ends in /api (or the \
variable NOCTURNA_API_URL)
rotator.toml: [[token]] "luna" (line 11) stores: no installed package serves floppy: stores; \
installed are: aws-secretsmanager, aws-ssm, command, dotenv, kubernetes, vault
rotator.toml: [[token]] "luna" (line 16) stores: found dotenv://FOLDER/.env#NOCTURNA_SERVICE_TOKEN \
a second time (also in luna), expected each store once
"""
GOOD = """
[api]
url = "https://file.example/api"
admin_email = "hidden@example.com"
admin_password = "dotenv:admin.env#PASSWORD"

[defaults]
validity = "30d"
notify = ["slack://hunter2/a"]

[[token]]
name = "luna"
retire = "unused 1d, at most 30d"
stores = ["dotenv:.env"]
hooks = [["./tell", "--password=hunter2"]]
validity = "60d"

[[token]]
name = "sol"
stores = ["dotenv:sol.env"]
"""


@pytest.fixture
def config(rotator: Runner) -> Runner:
    """The command in a folder without any settings in the environment."""
    rotator.env = {}
    return rotator


def put(runner: Runner, toml: str) -> None:
    (runner.folder / "rotator.toml").write_text(toml)


def test_every_mistake_is_told_at_once(config: Runner) -> None:
    put(config, MANY)
    result = config("config", "check", ROTATOR_STORES="dotenv:a")
    assert (result.status, result.err) == (2, "")
    assert result.out.replace(str(config.folder.resolve()), "FOLDER") == ALL
    assert "hunter2" not in result.out


def test_other_commands_tell_the_first_and_where_to_see_the_others(config: Runner) -> None:
    put(config, MANY)
    result = config("rotate")
    assert (result.status, result.out) == (2, "")
    assert result.err == (
        "rotator: rotator.toml: [api] urll: found an unknown key, expected url"
        " (and more: rotator config check)\n"
    )


def test_a_file_that_cannot_be_read_is_the_only_mistake(config: Runner) -> None:
    result = config("config", "check", "--config", "nowhere.toml")
    assert (result.status, result.err) == (2, "")
    assert result.out == "nowhere.toml: cannot read it: No such file or directory\n"


@pytest.mark.parametrize("toml", ["api = 1\ntoken = 1\nx = 1\n", "api = []\n[token]\n[x]\n"])
def test_what_is_no_table_is_told_without_what_is_missing_in_it(config: Runner, toml: str) -> None:
    put(config, toml)
    lines = config("config", "check").out.splitlines()
    places = [line.partition(": found")[0] for line in lines]
    assert places == ["rotator.toml: x", "rotator.toml: api", "rotator.toml: token"]


def test_what_is_missing_is_told_at_once(config: Runner) -> None:
    result = config("config", "check")
    assert result.status == 2
    assert [line.split(":")[1] for line in result.out.splitlines()] == [
        " ROTATOR_STORE",
        " NOCTURNA_API_URL",
        " NOCTURNA_ADMIN_EMAIL",
        " NOCTURNA_ADMIN_PASSWORD_FILE or NOCTURNA_ADMIN_PASSWORD",
    ]


def test_settings_without_a_mistake_are_said_to_be_so(rotator: Runner) -> None:
    result = rotator("config", "check")
    assert (result.status, result.out) == (0, "environment: no mistakes, 1 token\n")
    rotator.env.pop("ROTATOR_STORE")
    put(rotator, "".join(f'[[token]]\nname = "{a}"\nstores = ["dotenv:{a}"]\n' for a in "ab"))
    result = rotator("config", "check")
    assert (result.status, result.out) == (0, "rotator.toml: no mistakes, 2 tokens\n")


def test_show_says_what_is_in_force_and_where_it_comes_from(config: Runner) -> None:
    put(config, GOOD)
    result = config("config", "show", NOCTURNA_API_URL="https://env.example/api")
    assert (result.status, result.err) == (0, "")
    words = [" ".join(line.split()) for line in result.out.splitlines()]
    folder = config.folder.resolve()
    assert words == [
        "[api]",
        'url = "https://env.example/api" # environment: NOCTURNA_API_URL',
        'admin_email = "…" # rotator.toml: [api]',
        f'admin_password = "dotenv://{folder}/admin.env#PASSWORD" # rotator.toml: [api]',
        "allow_insecure_http = false # default",
        "connections = 4 # default",
        "",
        "[limits]",
        "store_connections = 8 # default",
        "",
        "[[token]]",
        'name = "luna" # rotator.toml: [[token]] "luna"',
        'stores = ["dotenv:.env"] # rotator.toml: [[token]] "luna"',
        'renew_before = "7d" # default',
        'spread = "0%" # default',
        'validity = "60d" # rotator.toml: [[token]] "luna"',
        'retire = "unused 1d, at most 30d" # rotator.toml: [[token]] "luna"',
        "probe = true # default",
        'rotation_timeout = "2m" # default',
        f'hooks = [["{config.folder}/tell", "…"]] # rotator.toml: [[token]] "luna"',
        'hook_timeout = "60s" # default',
        'notify = ["…"] # rotator.toml: [defaults]',
        "allow_eternal = true # default",
        "rehearse = false # default",
        "",
        "[[token]]",
        'name = "sol" # rotator.toml: [[token]] "sol"',
        'stores = ["dotenv:sol.env"] # rotator.toml: [[token]] "sol"',
        'renew_before = "7d" # default',
        'spread = "0%" # default',
        'validity = "30d" # rotator.toml: [defaults]',
        'retire = "never" # default',
        "probe = true # default",
        'rotation_timeout = "2m" # default',
        'hook_timeout = "60s" # default',
        'notify = ["…"] # rotator.toml: [defaults]',
        "allow_eternal = true # default",
        "rehearse = false # default",
    ]
    assert [each["name"] for each in tomllib.loads(result.out)["token"]] == ["luna", "sol"]


def test_show_never_shows_a_secret(config: Runner) -> None:
    jwt = "eyJhbGciOiJIUzI1NiJ9.e30.c2ln"
    given = {
        "ROTATOR_STORE": f"dotenv:.env#{jwt} vault://user:hunter2@host/a",
        "ROTATOR_NOTIFY": "slack://hunter2 json://hunter2",
        "NOCTURNA_ADMIN_PASSWORD": "hunter2",
        "NOCTURNA_ADMIN_EMAIL": "hunter2",
    }
    for more in ((), ("--json",)):
        result = config("config", "show", *more, **given)
        assert result.status == 0
        assert "hunter2" not in result.out
        assert jwt not in result.out
    put(config, '[api]\nadmin_password = "hunter2:hunter2#hunter2"\n')
    result = config("config", "show")
    assert result.status == 0
    assert "hunter2" not in result.out


def test_show_has_every_key_in_json(config: Runner) -> None:
    put(config, GOOD)
    lines = config("config", "show", "--json", NOCTURNA_API_URL="https://env.example/api").json
    for name, tables in ((None, ("api", "limits")), ("luna", ("token",)), ("sol", ("token",))):
        keys = {line["key"] for line in lines if line["token"] == name}
        assert keys == {key.name for table in tables for key in TABLES[table]}
    by_key = {(line["token"], line["key"]): line for line in lines}
    assert by_key[None, "url"]["place"] == "environment: NOCTURNA_API_URL"
    assert by_key["sol", "validity"] == {
        "token": "sol",
        "key": "validity",
        "value": "30d",
        "place": "rotator.toml: [defaults] validity",
    }
    assert by_key["sol", "scope"]["value"] is by_key["sol", "scope"]["place"] is None
    assert (by_key["sol", "probe"]["value"], by_key["sol", "probe"]["place"]) == (True, None)


def test_show_refuses_wrong_settings(config: Runner) -> None:
    put(config, MANY)
    result = config("config", "show")
    assert (result.status, result.out) == (2, "")
    assert "(and more: rotator config check)" in result.err


def test_the_schema_is_printed_as_it_is_shipped(config: Runner) -> None:
    result = config("config", "schema")
    assert (result.status, result.err) == (0, "")
    assert result.out == OF_FILE.read_text()
    Draft7Validator(json.loads(result.out)).validate(tomllib.loads(GOOD))

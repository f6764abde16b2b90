"""What programs that the rotator starts get of its credentials: nothing; nor does a core dump."""

import json
import sys
from pathlib import Path

import pytest

from tests.support.process import Runner
from tests.support.sandbox import Sandbox

PLUGIN = "import os, sys; open(sys.argv[1], 'w').write(repr(dict(os.environ)))"
LIMIT = (
    "import resource; open('limit', 'w').write(str(resource.getrlimit(resource.RLIMIT_CORE)[0]))"
)


def with_credentials(rotator: Runner, api: Sandbox, store: str = "dotenv:.env") -> None:
    rotator.use(api, store)
    del rotator.env["NOCTURNA_ADMIN_PASSWORD_FILE"]
    rotator.env["NOCTURNA_ADMIN_PASSWORD"] = api.admin_password
    rotator.env["ROTATOR_NOTIFY"] = "json://user:sent-by-nobody@127.0.0.1:9/"


def seen_by(rotator: Runner, api: Sandbox) -> str:
    seen = (rotator.folder / "seen").read_text()
    for part in (api.admin_password, "sent-by-nobody", "NOCTURNA_ADMIN", "ROTATOR_NOTIFY"):
        assert part not in seen
    return seen


def write_kubeconfig(folder: Path, command: list[str]) -> Path:
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": command[0]}
    config = {
        "current-context": "a",
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "clusters": [{"name": "a", "cluster": {"server": "https://127.0.0.1:9"}}],
        "users": [{"name": "a", "user": {"exec": {**plugin, "args": command[1:]}}}],
    }
    path = folder / "kubeconfig"
    path.write_text(json.dumps(config))
    return path


@pytest.mark.sample(1)
@pytest.mark.parametrize("command", ["check", "rotate", "doctor"])
def test_an_exec_plugin_gets_no_credentials(rotator: Runner, api: Sandbox, command: str) -> None:
    with_credentials(rotator, api, "kubernetes://bots/luna")
    plugin = [sys.executable, "-c", PLUGIN, str(rotator.folder / "seen")]
    config = write_kubeconfig(rotator.folder, plugin)
    rotator(command, KUBECONFIG=str(config), KEPT="yes")
    assert "'KEPT': 'yes'" in seen_by(rotator, api)


@pytest.mark.sample(1)
@pytest.mark.parametrize("command", ["check", "rotate"])
def test_a_credential_process_gets_no_credentials(
    rotator: Runner, api: Sandbox, command: str
) -> None:
    with_credentials(rotator, api, "aws-secretsmanager://luna?region=eu-west-1#T")
    script = rotator.folder / "script.py"
    script.write_text(PLUGIN)
    (rotator.folder / "aws").write_text(
        "[profile luna]\n"
        f"credential_process = {sys.executable} {script} {rotator.folder / 'seen'}\n"
    )
    rotator(command, AWS_PROFILE="luna", AWS_CONFIG_FILE=str(rotator.folder / "aws"), KEPT="yes")
    assert "'KEPT': 'yes'" in seen_by(rotator, api)


def test_who_holds_a_password_leaves_no_core_dump(rotator: Runner, api: Sandbox) -> None:
    with_credentials(rotator, api)
    del rotator.env["ROTATOR_NOTIFY"]
    rotator.write_env(api.issue(days=60))
    (rotator.folder / "rotator.toml").write_text(
        '[[token]]\nname = "luna"\nstores = ["dotenv:.env"]\n'
        f"hooks = [[{json.dumps(sys.executable)}, '-c', {json.dumps(LIMIT)}]]\n"
    )
    del rotator.env["ROTATOR_STORE"]
    assert rotator("rotate", "--force").status == 0
    assert (rotator.folder / "limit").read_text() == "0"


def test_carriage_returns_and_line_breaks_at_the_end_are_cut(rotator: Runner, api: Sandbox) -> None:
    with_credentials(rotator, api)
    del rotator.env["ROTATOR_NOTIFY"]
    rotator.write_env(api.issue(days=3))
    ends = {"NOCTURNA_ADMIN_EMAIL": "\r", "NOCTURNA_ADMIN_PASSWORD": "\r\n"}
    changes = {name: rotator.env[name] + end for name, end in ends.items()}
    assert rotator("rotate", **changes).status == 0


@pytest.mark.parametrize("name", ["NOCTURNA_ADMIN_EMAIL", "NOCTURNA_ADMIN_PASSWORD"])
@pytest.mark.parametrize("sign", ["\n", "\r", "\t", "\x1b[31m", "\x7f"])
def test_control_characters_in_a_credential_are_refused_and_its_variable_named(
    rotator: Runner, api: Sandbox, name: str, sign: str
) -> None:
    with_credentials(rotator, api)
    result = rotator("rotate", **{name: f"x{sign}y"})
    assert result.status == 2
    assert f"environment: {name}: found line breaks or control characters" in result.err


def test_what_a_terminal_obeys_is_escaped_in_a_path(rotator: Runner, api: Sandbox) -> None:
    rotator.use(api)
    for name in ("no\x1b[31mfile", "bro\x1b]0;ken"):
        if name.startswith("bro"):
            (rotator.folder / name).write_text("[[api]]\n")
        result = rotator("check", "--config", name, ROTATOR_STORE="")
        assert result.status == 3
        assert "\x1b" not in result.err
        assert "\\x1b" in result.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("{}",),
        ("rotate", "{}"),
        ("rotate", "--{}"),
        ("rotate", "--shard", "{}"),
        ("rotate", "--config", "{}"),
        ("mint", "--days", "{}"),
        ("daemon", "--listen", "{}"),
        ("tokens", "revoke", "{}"),
        ("completion", "{}"),
    ],
    ids=lambda arguments: " ".join(arguments).format("TOKEN"),
)
def test_a_token_among_the_arguments_is_not_repeated(
    rotator: Runner, api: Sandbox, arguments: tuple[str, ...]
) -> None:
    with_credentials(rotator, api)
    secret = "eyJhbGciOiJIUzI1NiJ9.e30.c2ln"
    result = rotator(*(argument.format(secret) for argument in arguments))
    assert result.status != 0
    assert secret not in result.out + result.err


def test_a_password_file_that_is_none_is_told(rotator: Runner, api: Sandbox) -> None:
    with_credentials(rotator, api)
    del rotator.env["NOCTURNA_ADMIN_PASSWORD"]
    result = rotator("rotate", "--force", NOCTURNA_ADMIN_PASSWORD_FILE="/dev/zero")
    assert result.status != 0
    assert "it is larger than 4 MiB" in result.err

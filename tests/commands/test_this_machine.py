"""Files that nobody can look at, odd homes and locales: each is told as what it is."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.kubernetes.cluster import write_kubeconfig
from tests.support.process import Runner
from tests.support.sandbox import Sandbox

# Looking at it fails even for root, and as a folder that may not be entered fails for others.
CLOSED = f"/{'a' * 300}/file"
SOMEBODY = "setpriv --reuid=43210 --regid=43210 --clear-groups"
as_somebody = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root and setpriv"
)
SET_ASIDE = ("AWS_", "VAULT_", "BAO_", "KUBE")
VAULT = {"ROTATOR_STORE": "vault://secret/x", "VAULT_ADDR": "https://127.0.0.1:9"}
KUBERNETES = {"ROTATOR_STORE": "kubernetes://bots/luna"}
AWS = {
    "ROTATOR_STORE": "aws-secretsmanager://luna?region=eu-west-1#T",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_EC2_METADATA_DISABLED": "true",
}
MFA = """
[profile mfa]
role_arn = arn:aws:iam::123456789012:role/x
mfa_serial = arn:aws:iam::123456789012:mfa/x
source_profile = base
[profile base]
aws_access_key_id = AKIAEXAMPLE
aws_secret_access_key = abc
"""


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(SET_ASIDE)]:
        monkeypatch.delenv(name)


def told(rotator: Runner, api: Sandbox, **variables: str) -> str:
    rotator.use(api)
    result = rotator("check", **variables)
    assert result.status == 3
    for word in ("internal error", "Traceback", "output could not be written", "uninstall"):
        assert word not in result.err
    return result.err


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({**VAULT, "HOME": CLOSED}, "/.vault-token cannot be read (File name too long)"),
        ({**VAULT, "VAULT_TOKEN": "t", "VAULT_CACERT": CLOSED}, "(VAULT_CACERT) cannot be read"),
        ({**VAULT, "VAULT_TOKEN": "t", "VAULT_CAPATH": CLOSED}, "(VAULT_CAPATH) cannot be read"),
        (
            {**VAULT, "VAULT_AUTH_METHOD": "jwt", "VAULT_ROLE": "r", "VAULT_JWT_FILE": CLOSED},
            "cannot be read (File name too long), which the login at Vault needs",
        ),
        ({**KUBERNETES, "HOME": CLOSED}, "/.kube/config cannot be read (File name too long)"),
        ({**KUBERNETES, "KUBECONFIG": CLOSED}, "cannot be read (File name too long)"),
        (
            {
                **AWS,
                "AWS_WEB_IDENTITY_TOKEN_FILE": CLOSED,
                "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/x",
            },
            "aaa/file cannot be used (File name too long)",
        ),
        (
            {
                **AWS,
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:9/",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": CLOSED,
            },
            "aaa/file cannot be used (File name too long)",
        ),
    ],
)
def test_a_file_that_nobody_can_look_at_is_named(
    rotator: Runner, api: Sandbox, variables: dict[str, str], words: str
) -> None:
    assert words in told(rotator, api, **variables)


def test_a_kubeconfig_that_is_nested_too_deep_is_named(rotator: Runner, api: Sandbox) -> None:
    config = rotator.folder / "kubeconfig"
    config.write_text("[" * 5000 + "]" * 5000)
    text = told(rotator, api, **KUBERNETES, KUBECONFIG=str(config))
    assert f"the kubeconfig {config} is nested too deep: correct it" in text


def test_a_profile_that_wants_an_mfa_code_is_told_and_nobody_is_asked(
    rotator: Runner, api: Sandbox
) -> None:
    (rotator.folder / "aws").write_text(MFA)
    text = told(rotator, api, **AWS, AWS_PROFILE="mfa", AWS_CONFIG_FILE=str(rotator.folder / "aws"))
    assert "the AWS profile wants an MFA code (mfa_serial)" in text
    assert len(text.splitlines()) == 1


def test_a_left_over_sslkeylogfile_is_not_used(rotator: Runner, api: Sandbox) -> None:
    config = rotator.folder / "kubeconfig"
    write_kubeconfig(config, "https://127.0.0.1:1", {"token": "t"})
    keys = {"KUBECONFIG": str(config), "SSLKEYLOGFILE": "/nonexistent/keys"}
    assert "cannot be reached (connection refused)" in told(rotator, api, **KUBERNETES, **keys)


@pytest.mark.parametrize(
    "name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]
)
@pytest.mark.parametrize("end", ["\n", "\r", " ", "\u00a0"])
def test_an_aws_credential_with_a_line_break_is_named(
    rotator: Runner, api: Sandbox, name: str, end: str
) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "made-up"}
    text = told(rotator, api, **AWS, **keys | {name: f"made-up{end}"})
    assert f"{name} has spaces, line breaks or worse" in text
    assert "made-up" not in text


def test_an_aws_credential_of_a_program_with_a_line_break_blames_no_server(
    rotator: Runner, api: Sandbox
) -> None:
    keys = {"Version": 1, "AccessKeyId": "AKIA\n", "SecretAccessKey": "made-up"}
    (rotator.folder / "keys").write_text(json.dumps(keys))
    (rotator.folder / "aws").write_text(
        f"[profile luna]\ncredential_process = cat {rotator.folder / 'keys'}\n"
    )
    aws = {"AWS_PROFILE": "luna", "AWS_CONFIG_FILE": str(rotator.folder / "aws")}
    text = told(rotator, api, **AWS, **aws)
    assert "the AWS credentials, or a proxy's address, have line breaks or worse" in text


@pytest.mark.sample(1)
@pytest.mark.parametrize("charmap", ["ISO-8859-1", "KOI8-R"])
def test_a_path_means_the_same_file_under_every_locale(
    rotator: Runner, api: Sandbox, tmp_path: Path, charmap: str
) -> None:
    made = shutil.which("localedef") and subprocess.run(
        ["localedef", "-c", "-i", "POSIX", "-f", charmap, str(tmp_path / f"xx_XX.{charmap}")],  # noqa: S607 - any
        capture_output=True,
        check=False,
    )
    if not (tmp_path / f"xx_XX.{charmap}").is_dir():
        pytest.skip(f"needs localedef and its charmaps: {made}")
    rotator.use(api)
    del rotator.env["ROTATOR_STORE"]
    for number, name in enumerate(("b\u00f6t.env", "\u043a\u043b\u044e\u0447.env")):
        path = rotator.folder / name
        path.write_text(f"NOCTURNA_SERVICE_TOKEN={api.issue(days=60)}\n")
        path.chmod(0o600)
        config = f'[[token]]\nname = "t{number}"\nstores = ["dotenv:{name}"]\n'
        (rotator.folder / "rotator.toml").write_text(config, "utf-8")
        result = rotator("check", LOCPATH=str(tmp_path), LC_ALL=f"xx_XX.{charmap}")
        assert (result.status, result.err) == (0, "")


@as_somebody
@pytest.mark.parametrize(
    ("variables", "words"),
    [(VAULT, "there is no Vault token: set VAULT_TOKEN"), (KUBERNETES, "set KUBECONFIG to its")],
)
def test_without_a_home_the_missing_login_is_told(
    rotator: Runner, api: Sandbox, variables: dict[str, str], words: str
) -> None:
    rotator.use(api)
    exports = " ".join(f"{key}={value}" for key, value in variables.items())
    result = rotator.in_shell(f"cd / && env -u HOME {exports} {SOMEBODY} rotator check")
    assert (result.status, words in result.err) == (3, True)


@as_somebody
def test_a_current_folder_that_may_not_be_entered_is_named(
    rotator: Runner, api: Sandbox, tmp_path: Path
) -> None:
    rotator.use(api)
    del rotator.env["ROTATOR_STORE"]
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    result = rotator.in_shell(f"cd {closed} && {SOMEBODY} rotator check")
    assert result.status == 3
    assert f"the current folder {closed} cannot be searched for rotator.toml" in result.err


@as_somebody
@pytest.mark.parametrize("store", ["dotenv:closed/.env", "file:closed/token"])
def test_exec_names_a_store_in_a_folder_that_may_not_be_entered(
    rotator: Runner, api: Sandbox, store: str
) -> None:
    rotator.use(api, store)
    (rotator.folder / "closed").mkdir(mode=0o700)
    result = rotator.in_shell(f"{SOMEBODY} rotator exec -- true")
    assert result.status == 1
    assert str(rotator.folder / "closed") in result.err
    assert "may not read" in result.err


def _kubeconfig(folder: Path, key: str) -> dict[str, str]:
    place = {"server": "https://127.0.0.1:9"} | ({key: "pipe"} if "authority" in key else {})
    user = {} if "authority" in key else {"client-certificate": "pipe", "client-key": "pipe"}
    document = {
        "current-context": "a",
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "clusters": [{"name": "a", "cluster": place}],
        "users": [{"name": "a", "user": user | {"token": "x"}}],
    }
    (folder / "kubeconfig").write_text(json.dumps(document))
    return {**KUBERNETES, "KUBECONFIG": "kubeconfig"}


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"NOCTURNA_API_URL": "https://127.0.0.1:9/api"}, "CURL_CA_BUNDLE names cannot be"),
        (
            {**VAULT, "VAULT_TOKEN": "t", "VAULT_CACERT": "pipe"},
            "pipe (VAULT_CACERT) cannot be read",
        ),
        (
            {**VAULT, "VAULT_TOKEN": "t", "VAULT_CLIENT_CERT": "pipe"},
            "a certificate file cannot be",
        ),
        *(
            ({**AWS, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", name: "pipe"}, "pipe")
            for name in ("AWS_CA_BUNDLE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
        ),
        ({**AWS, "AWS_CONFIG_FILE": "ca"}, "pipe cannot be used"),
        ({**KUBERNETES, "key": "certificate-authority"}, "pipe: it is no regular file"),
        ({**KUBERNETES, "key": "client-certificate"}, "pipe: it is no regular file"),
    ],
    ids=[
        *("the API", "Vault", "Vault's client", "AWS", "AWS' profiles", "AWS' credentials"),
        *("a profile's authority", "a cluster", "a cluster's user"),
    ],
)
def test_a_pipe_in_the_place_of_certificates_is_not_waited_for(
    rotator: Runner, api: Sandbox, variables: dict[str, str], said: str
) -> None:
    os.mkfifo(rotator.folder / "pipe")
    (rotator.folder / "ca").write_text("[default]\nca_bundle = pipe\n")
    rotator.use(api)
    if key := variables.get("key"):
        variables = _kubeconfig(rotator.folder, key)
    if "ROTATOR_STORE" not in variables:
        rotator.write_env(api.issue(60))
        variables = {**variables, "REQUESTS_CA_BUNDLE": "pipe"}
    result = rotator("check", "--probe", **variables)
    assert result.status == 3
    assert said in result.err
    assert "no regular file" in result.err


@pytest.mark.long
@pytest.mark.parametrize("size", range(30_000, 62_000, 4_000))
def test_too_little_memory_is_told_as_such(rotator: Runner, api: Sandbox, size: int) -> None:
    rotator.write_env(api.issue(3))
    # What measures coverage takes memory, and falls over itself without it.
    result = rotator.in_shell(f"unset COVERAGE_PROCESS_START; ulimit -v {size}; rotator rotate")
    assert result.status in (0, 1)
    if result.status:
        assert "there is too little memory for it: raise the limit of" in result.err
        assert "internal error" not in result.err
    assert rotator("rotate").status == 0
    assert len(api.live_tokens()) <= 2

"""Credentials that change while the rotator runs: exec plugins and token files."""

import json
import sys
import textwrap
from pathlib import Path

import pytest

from backends.kubernetes.kubeconfig import ClusterAccess, user_from_plugin
from rotator.errors import StoreDeniedError, StoreUnreachableError
from tests.kubernetes.apiserver import ApiServer
from tests.kubernetes.cluster import write_kubeconfig
from tests.kubernetes.helpers import opened
from tests.kubernetes.site import Site

SECRET = "made-up.token"


class Plugin:
    """A script that prints what stands in a file, and counts how often it ran."""

    def __init__(self, folder: Path) -> None:
        self.says = folder / "says"
        self.runs = folder / "runs"
        self.runs.touch()
        self.told = folder / "told"
        self.script = folder / "log-in"
        self._folder = folder

    def entry(self, body: str, *args: str, version: str = "v1") -> dict[str, object]:
        self.script.write_text(f"#!{sys.executable}\n{textwrap.dedent(body)}")
        self.script.chmod(0o700)
        return {
            "exec": {
                "apiVersion": f"client.authentication.k8s.io/{version}",
                "command": "./log-in",
                "args": [str(self._folder), *args],
                "env": [{"name": "PLACE", "value": "here"}],
            }
        }

    def token(self, token: str) -> None:
        self.says.write_text(json.dumps({"kind": "ExecCredential", "status": {"token": token}}))


PRINTING = """
    import os, pathlib, sys
    folder = pathlib.Path(sys.argv[1])
    with (folder / "runs").open("a") as runs:
        runs.write("x")
    (folder / "told").write_text(os.environ["PLACE"] + os.environ["KUBERNETES_EXEC_INFO"])
    print((folder / "says").read_text())
"""


@pytest.fixture
def plugin(tmp_path: Path) -> Plugin:
    return Plugin(tmp_path)


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_an_exec_plugin_is_asked_once_and_again_when_its_token_is_refused(
    site: Site, stand_in: ApiServer, plugin: Plugin, tmp_path: Path, version: str
) -> None:
    plugin.token(first := site.token())
    user = plugin.entry(PRINTING, version=version)
    path = write_kubeconfig(tmp_path / "config", site.upstream, user)
    store = opened(site.store_url, {"KUBECONFIG": str(path)})
    for _ in range(2):
        store.read()
    assert plugin.runs.read_text() == "x"
    told = plugin.told.read_text().removeprefix("here")
    assert json.loads(told) == {
        "apiVersion": f"client.authentication.k8s.io/{version}",
        "kind": "ExecCredential",
        "spec": {"interactive": False},
    }
    stand_in.tokens["second"] = stand_in.tokens.pop(first)
    plugin.token("second")
    store.read()
    assert plugin.runs.read_text() == "xx"
    stand_in.tokens.pop("second")
    with pytest.raises(StoreDeniedError, match="does not accept these credentials"):
        store.read()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (f"import sys; sys.exit('{SECRET}')", "failed with exit status 1: run it by hand"),
        (f"print('{SECRET}')", "printed no ExecCredential with a token or a certificate"),
        ("print('[]')", "printed no ExecCredential"),
        ('print(\'{"status": {"token": ""}}\')', "printed no ExecCredential"),
        ("import os; os.kill(os.getpid(), 9)", "failed with exit status -9"),
    ],
)
def test_an_exec_plugin_that_fails_is_told_without_what_it_says(
    plugin: Plugin, tmp_path: Path, body: str, told: str
) -> None:
    path = write_kubeconfig(tmp_path / "config", "http://127.0.0.1:9", plugin.entry(body))
    store = opened("kubernetes://bots/luna", {"KUBECONFIG": str(path)})
    with pytest.raises(StoreUnreachableError) as caught:
        store.read()
    assert str(caught.value).startswith(f"{store.url}: the exec plugin {plugin.script} of the kub")
    assert told in str(caught.value)
    assert SECRET not in str(caught.value)


def access_with(plugin: object) -> ClusterAccess:
    return ClusterAccess({"server": "https://one.example"}, {"exec": plugin}, "the kubeconfig")


def test_a_missing_exec_plugin_is_named() -> None:
    entry = {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-program"}
    with pytest.raises(
        StoreUnreachableError, match=r"no-such-program of the kubeconfig cannot be started"
    ):
        user_from_plugin(access_with(entry), {})


@pytest.mark.parametrize("entry", [{"command": "a\0b"}, {"command": "aws", "args": ["\0"]}])
def test_an_exec_plugin_that_no_system_can_start_is_told(entry: dict[str, object]) -> None:
    with pytest.raises(StoreUnreachableError, match=r"cannot be started \(ValueError\)") as caught:
        user_from_plugin(access_with({"apiVersion": "v1", **entry}), {})
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("entry", ["aws", {"command": "aws"}, {"apiVersion": "v1", "args": 1}])
def test_an_exec_entry_that_is_none_is_told(entry: object) -> None:
    with pytest.raises(StoreUnreachableError, match="`exec` of the kubeconfig needs `apiVersion`"):
        user_from_plugin(access_with(entry), {})


def test_an_exec_plugin_that_hangs_is_killed_with_what_it_started() -> None:
    entry = {"apiVersion": "v1", "command": "/bin/sh", "args": ["-c", "sleep 60 & sleep 60"]}
    with pytest.raises(StoreUnreachableError, match=r"did not end within 0\.2 seconds"):
        user_from_plugin(access_with(entry), {}, patience=0.2)


def test_an_exec_plugin_that_prints_without_end_is_killed() -> None:
    entry = {"apiVersion": "v1", "command": "yes"}
    with pytest.raises(StoreUnreachableError, match=r"yes of the kubeconfig prints more than 1 M"):
        user_from_plugin(access_with(entry), {})


def test_a_plugin_may_print_a_certificate_and_learns_the_cluster_if_it_wants_to() -> None:
    answer = {"status": {"clientCertificateData": "CERT", "clientKeyData": "KEY"}}
    script = 'printf %s "$KUBERNETES_EXEC_INFO" | grep -q one.example && printf %s "$0"'
    entry = {
        "apiVersion": "v1",
        "command": "/bin/sh",
        "args": ["-c", script, json.dumps(answer)],
        "provideClusterInfo": True,
    }
    assert user_from_plugin(access_with(entry), {"PATH": "/usr/bin:/bin"}) == {
        "client-certificate-data": "Q0VSVA==",
        "client-key-data": "S0VZ",
    }


def test_a_token_file_that_changes_is_read_again(
    site: Site, stand_in: ApiServer, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(f"{site.token()}\n")
    path = write_kubeconfig(tmp_path / "config", site.upstream, {"tokenFile": "token"})
    store = opened(site.store_url, {"KUBECONFIG": str(path)})
    store.read()
    stand_in.tokens["next"] = stand_in.tokens.pop(site.token())
    with pytest.raises(StoreDeniedError):
        store.read()
    file.write_text("next")
    store.read()
    for content in (b"", b"\xff", b"two words"):
        file.write_bytes(content)
        with pytest.raises(StoreUnreachableError, match=f"the token in {file} is empty, or no"):
            store.read()


def test_a_token_that_is_none_is_not_sent(tmp_path: Path) -> None:
    path = write_kubeconfig(tmp_path / "config", "http://127.0.0.1:9", {"token": "ü\n"})
    with pytest.raises(StoreUnreachableError, match="is empty, or no token: renew it"):
        opened("kubernetes://bots/luna", {"KUBECONFIG": str(path)}).read()

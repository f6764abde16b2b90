"""Where the server and the credentials are taken from: files and variables, without a network."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

from backends.kubernetes.kubeconfig import find_access
from backends.kubernetes.login import log_in
from rotator.errors import StoreUnreachableError
from tests.kubernetes.cluster import write_kubeconfig
from tests.kubernetes.helpers import NOWHERE, opened, store_of
from tests.kubernetes.site import NOBODY, Site

TOKEN = "made-up.token"
SERVER = "https://one.example:6443"
IN_POD = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}


def written(path: Path, server: str = SERVER, **user: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_kubeconfig(path, server, {"token": TOKEN, **user})


def server(variables: dict[str, str], context: str | None = None, pod: Path = NOWHERE) -> str:
    return find_access(variables, context, pod).server


def entry(name: str, kind: str, **content: object) -> list[dict[str, Any]]:
    return [{"name": name, kind: content}]


def test_kubeconfig_comes_before_the_pod_and_the_pod_before_the_home_folder(tmp_path: Path) -> None:
    written(tmp_path / ".kube" / "config", "https://home.example")
    written(tmp_path / "named", "https://named.example")
    (tmp_path / "token").write_text(TOKEN)
    home, named = {"HOME": str(tmp_path)}, {"KUBECONFIG": str(tmp_path / "named")}
    assert server({**home, **IN_POD, **named}, pod=tmp_path) == "https://named.example"
    assert server({**home, **IN_POD}, pod=tmp_path) == "https://10.0.0.1:443"
    assert server({**home, **IN_POD}, "here", pod=tmp_path) == "https://home.example"
    assert server({**home, **IN_POD}) == "https://home.example"
    assert server(home, pod=tmp_path) == "https://home.example"


def test_an_address_of_ipv6_is_put_in_brackets(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    assert server({**IN_POD, "KUBERNETES_SERVICE_HOST": "fd00::1"}, pod=tmp_path) == (
        "https://[fd00::1]:443"
    )


def test_of_several_files_the_first_counts_and_missing_ones_do_not(tmp_path: Path) -> None:
    one, two = tmp_path / "a" / "one", tmp_path / "b" / "two"
    for path in (one, two):
        path.parent.mkdir()
    cluster = {"server": SERVER, "certificate-authority": "ca.crt"}
    one.write_text(
        json.dumps(
            {
                "current-context": "prod",
                "contexts": entry("prod", "context", cluster="c", user="u"),
                "users": None,
            }
        )
    )
    two.write_text(
        json.dumps(
            {
                "current-context": "other",
                "contexts": entry("prod", "context", cluster="x", user="x"),
                "clusters": entry("c", "cluster", **cluster),
                "users": entry("u", "user", tokenFile="/abs/token", exec={"command": "./log-in"}),
            }
        )
    )
    files = os.pathsep.join(map(str, (tmp_path / "missing", one, two)))
    access = find_access({"KUBECONFIG": files}, None, NOWHERE)
    assert access.cluster["certificate-authority"] == str(two.parent / "ca.crt")
    assert access.user["tokenFile"] == "/abs/token"
    assert access.user["exec"]["command"] == str(two.parent / "log-in")


def test_what_a_file_names_lies_beside_it_wherever_it_was_named_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path / "config", tokenFile="token", exec={"command": "./log-in"})
    monkeypatch.chdir(tmp_path)
    user = find_access({"KUBECONFIG": "config"}, None, NOWHERE).user
    assert user["tokenFile"] == str(tmp_path / "token")
    assert user["exec"]["command"] == str(tmp_path / "log-in")


def test_a_plugin_that_is_named_without_a_folder_is_looked_for_as_the_shell_does(
    tmp_path: Path,
) -> None:
    path = written(tmp_path / "config", exec={"command": "aws"})
    assert find_access({"KUBECONFIG": str(path)}, None, NOWHERE).user["exec"]["command"] == "aws"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty or no mapping"),
        (f"users: [{{token: {TOKEN}\n  x", "is no YAML in line 2: correct it"),
        (f"users: {TOKEN}\ncurrent-context: x", "`users` of the kubeconfig"),
        (f"users: [{{token: {TOKEN}}}]\ncurrent-context: x", "`users` of the kubeconfig"),
        ("contexts: []", "has no current context"),
        ("current-context: gone", "has no context 'gone': kubectl config get-contexts"),
        ("current-context: a\ncontexts: [{name: a}]", "has no cluster 'None'"),
        (
            "current-context: a\ncontexts: [{name: a, context: {cluster: b}}]\nclusters: [name: b]",
            "names no `server` such as https://HOST:6443",
        ),
    ],
)
def test_a_broken_kubeconfig_is_told_without_its_content(
    tmp_path: Path, text: str, told: str
) -> None:
    (tmp_path / "config").write_text(text)
    with pytest.raises(StoreUnreachableError) as caught:
        server({"KUBECONFIG": str(tmp_path / "config")})
    assert told in str(caught.value)
    assert str(caught.value).isprintable()
    assert TOKEN not in str(caught.value)


def test_a_kubeconfig_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "config").write_bytes(b"users: \xff")
    with pytest.raises(StoreUnreachableError, match="config is no YAML: correct it"):
        server({"KUBECONFIG": str(tmp_path / "config")})


def test_a_kubeconfig_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    unreadable = Path("/proc/self/mem")  # even for root, and yet a file
    if not unreadable.exists():
        pytest.skip("Linux has such a file")
    (tmp_path / "config").symlink_to(unreadable)
    with pytest.raises(
        StoreUnreachableError, match=r"cannot be read \(.+\): correct its permissions"
    ):
        server({"KUBECONFIG": str(tmp_path / "config")})


@pytest.mark.parametrize(
    ("server_", "cluster", "user", "told"),
    [
        ("ftp://one.example", {}, {}, "names no `server`"),
        ("https://:6443", {}, {}, "names no `server`"),
        ("https://me:pw@one.example", {}, {}, "holds a user"),
        ("https://me@one.example", {}, {}, "holds a user"),
        ("https://:pw@one.example", {}, {}, "holds a user"),
        ("http://one.example", {}, {}, "has no TLS: use an address with https"),
        (SERVER, {"insecure-skip-tls-verify": True}, {}, "has insecure-skip-tls-verify"),
        (SERVER, {}, {"as": "root"}, "has `as`, which is not supported"),
        (SERVER, {}, {"auth-provider": {"name": "gcp"}}, "has `auth-provider`, which is not"),
    ],
)
def test_what_would_give_the_credentials_away_or_make_us_somebody_else_is_refused(
    tmp_path: Path, server_: str, cluster: dict[str, Any], user: dict[str, Any], told: str
) -> None:
    path = write_kubeconfig(tmp_path / "config", server_, user, **cluster)
    with pytest.raises(StoreUnreachableError, match=told):
        server({"KUBECONFIG": str(path)})


def test_a_missing_kubeconfig_is_unreachable(tmp_path: Path) -> None:
    store = opened("kubernetes://bots/luna", {"KUBECONFIG": str(tmp_path / "gone")})
    with pytest.raises(StoreUnreachableError) as caught:
        store.read()
    assert str(caught.value) == (
        f"{store.url}: there is no kubeconfig {tmp_path / 'gone'}: set KUBECONFIG to its path"
        " (inside a pod its service account is used instead)"
    )


@pytest.mark.parametrize(
    ("cluster", "user", "told"),
    [
        ({}, {"token": 17}, "has an entry of a wrong kind"),
        ({"certificate-authority": "gone.crt"}, {}, "a certificate or a key of the kubeconfig"),
        ({"certificate-authority-data": "AAAA"}, {}, "a certificate or a key of the kubeconfig"),
        ({}, {"client-certificate-data": "AA=="}, "a certificate or a key of the kubeconfig"),
        ({"proxy-url": "nonsense"}, {}, "the proxy of the kubeconfig"),
        ({}, {"tokenFile": "gone"}, "the token file .*gone cannot be read"),
    ],
)
def test_what_the_kubeconfig_names_and_is_not_usable_is_unreachable(
    tmp_path: Path, cluster: dict[str, Any], user: dict[str, Any], told: str
) -> None:
    address = "https://127.0.0.1:9"
    path = write_kubeconfig(tmp_path / "config", address, user, **cluster)
    with pytest.raises(StoreUnreachableError, match=told):
        opened("kubernetes://bots/luna", {"KUBECONFIG": str(path)}).read()


def test_a_key_that_is_broken_is_left_in_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    broken = {"client-certificate-data": "AA==", "client-key-data": "AA=="}
    path = write_kubeconfig(tmp_path / "config", "https://127.0.0.1:9", broken)
    with pytest.raises(StoreUnreachableError) as caught:
        log_in({"KUBECONFIG": str(path)}, None, NOWHERE)
    assert "client-key" in str(caught.value)  # it is still held here, with what it holds
    assert list(folder.iterdir()) == []


def test_the_context_is_chosen_by_the_url(site: Site, tmp_path: Path) -> None:
    site.put("here")
    config = json.loads(Path(site.variables(site.upstream)["KUBECONFIG"]).read_text())
    config["users"] += entry("nobody", "user", token=site.token(NOBODY))
    config["contexts"] += entry("first", "context", cluster="here", user="nobody")
    config["current-context"] = "first"
    (tmp_path / "config").write_text(json.dumps(config))
    variables = {"KUBECONFIG": str(tmp_path / "config")}
    chosen = opened(site.store_url.replace("#", "?context=here#"), variables)
    chosen.read()
    with pytest.raises(Exception, match="may not get secrets"):
        opened(site.store_url, variables).read()
    assert chosen.url != store_of(site).url


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_server_on_this_machine_is_not_looked_for_behind_a_proxy(
    site: Site, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    store_of(site).read()


def test_the_proxy_of_the_kubeconfig_is_used(site: Site, tmp_path: Path) -> None:
    proxy = {"proxy-url": "http://127.0.0.1:9"}
    user = {"token": site.token()}
    path = write_kubeconfig(tmp_path / "config", site.upstream, user, **proxy)
    with pytest.raises(StoreUnreachableError, match="cannot be reached"):
        opened(site.store_url, {"KUBECONFIG": str(path)}).read()

"""Where the API server is, and as whom to log in: a kubeconfig, or the pod's service account.

An exec plugin of a kubeconfig, such as `aws eks get-token`, is run for its credentials:
https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
"""

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from backends.programs import (
    PATIENCE,
    ProgramError,
    environment_for_programs,
    read_output,
)
from backends.remote import find_home
from rotator.errors import StoreUnreachableError
from rotator.files import read_small_text
from rotator.http.urls import is_loopback, is_readable_on_the_way, parse_http_url

_NAMESPACE = "default"
_SECTIONS = {"clusters": "cluster", "contexts": "context", "users": "user"}
_FILES = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
_CREDENTIALS = (
    "token",
    "tokenFile",
    "client-certificate",
    "client-certificate-data",
    "username",
    "exec",
)
_TEXTS = (
    *_FILES,
    *("token", "username", "password", "proxy-url", "tls-server-name"),
    *("certificate-authority-data", "client-certificate-data", "client-key-data"),
)
# Without these, which are not supported, we would be somebody else.
_UNSUPPORTED = ("as", "as-uid", "as-groups", "as-user-extra", "auth-provider")


@dataclass(frozen=True, slots=True)
class ClusterAccess:
    """The entries `cluster` and `user` of a kubeconfig, with absolute paths, and their origin.

    `namespace` is the one that kubectl would take, as it stands there. In a pod all of it is the
    kubelet's work, and no user can correct it.
    """

    cluster: Mapping[str, Any]
    user: Mapping[str, Any] = field(repr=False)
    origin: str
    namespace: str = _NAMESPACE
    is_of_pod: bool = False

    @property
    def server(self) -> str:
        return str(self.cluster["server"])

    @property
    def is_anonymous(self) -> bool:
        return not any(self.user.get(key) for key in _CREDENTIALS)


def find_access(
    environment: Mapping[str, str], context: str | None, service_account: Path
) -> ClusterAccess:
    """Take the first of: the files of `KUBECONFIG`, the pod's service account, `~/.kube/config`.

    A named context is one of a kubeconfig. Raises `StoreUnreachableError`.
    """
    named = [Path(each) for each in environment.get("KUBECONFIG", "").split(os.pathsep) if each]
    host = environment.get("KUBERNETES_SERVICE_HOST")
    port = environment.get("KUBERNETES_SERVICE_PORT")
    if host and port and not named and not context and _has_token(service_account):
        server = f"https://{f'[{host}]' if ':' in host else host}:{port}"
        access = _read_service_account(server, service_account)
    else:
        home = find_home(environment)
        usual = [home / ".kube" / "config"] if home else []
        access = _read_kubeconfig(named or usual, context)
    _check(access)
    return access


def _read_service_account(server: str, folder: Path) -> ClusterAccess:
    try:
        namespace = read_small_text(Path(folder, "namespace"), "utf-8", "replace").strip()
    except OSError:
        namespace = _NAMESPACE  # as kubectl has it
    return ClusterAccess(
        cluster={"server": server, "certificate-authority": str(folder / "ca.crt")},
        user={"tokenFile": str(folder / "token")},
        origin="the pod's service account",
        namespace=namespace,
        is_of_pod=True,
    )


def _read_kubeconfig(paths: list[Path], context: str | None) -> ClusterAccess:
    """Merge as kubectl does: the first entry of a name counts, and missing files are left out."""
    shown = os.pathsep.join(map(str, paths))
    documents = {path: _load(path) for path in paths if _is_there(path)}
    if not documents:
        raise StoreUnreachableError(
            f"there is no kubeconfig {shown or '(and no home folder to look in)'}: set KUBECONFIG"
            " to its path (inside a pod its service account is used instead)"
        )
    merged: dict[str, dict[str, dict[str, Any]]] = {section: {} for section in _SECTIONS}
    for path, document in documents.items():
        for section in _SECTIONS:
            merged[section] = _entries(document, section, path) | merged[section]

    def entry(section: str, name: object) -> dict[str, Any]:
        if str(name) not in merged[section]:
            raise StoreUnreachableError(
                f"{shown} has no {_SECTIONS[section]} {str(name)!r}: kubectl config get-contexts"
                " lists what there is"
            )
        return merged[section][str(name)]

    currents = (document.get("current-context") for document in documents.values())
    current = context or next(filter(None, currents), None)
    if not current:
        raise StoreUnreachableError(
            f"{shown} has no current context: choose one with kubectl config use-context,"
            " or write context=NAME among the options of the store URL, before its `#`"
        )
    chosen = entry("contexts", current)
    return ClusterAccess(
        cluster=entry("clusters", chosen.get("cluster")),
        user=entry("users", chosen["user"]) if chosen.get("user") else {},
        origin=f"the kubeconfig {shown}",
        namespace=str(chosen.get("namespace") or _NAMESPACE),
    )


def _has_token(service_account: Path) -> bool:
    try:
        return Path(service_account, "token").is_file()
    except OSError:  # it is read for each request, which tells what keeps us from it
        return True


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> StoreUnreachableError:
    return StoreUnreachableError(
        f"the kubeconfig {path} cannot be read ({error.strerror}): correct its permissions, or set"
        " KUBECONFIG to another one"
    )


def _load(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(read_small_text(path))
    except OSError as error:
        raise _unreadable(path, error) from None
    except RecursionError:
        raise StoreUnreachableError(
            f"the kubeconfig {path} is nested too deep: correct it"
        ) from None
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        raise StoreUnreachableError(f"the kubeconfig {path} is no YAML{line}: correct it") from None
    if not isinstance(document, dict):
        raise StoreUnreachableError(f"the kubeconfig {path} is empty or no mapping: correct it")
    return document


def _entries(document: dict[str, Any], section: str, path: Path) -> dict[str, dict[str, Any]]:
    """Return the entries of a section by name, with absolute paths."""
    kind, folder = _SECTIONS[section], path.parent.absolute()
    try:
        items = document.get(section) or ()
        entries = {str(item["name"]): dict(item.get(kind) or {}) for item in items}
    except (TypeError, ValueError, KeyError, AttributeError):
        raise StoreUnreachableError(
            f"`{section}` of the kubeconfig {path} is no list of entries with `name` and `{kind}`:"
            " correct it"
        ) from None
    for entry in entries.values():
        for key in _FILES:
            if entry.get(key):
                entry[key] = str(folder / str(entry[key]))
        plugin = entry.get("exec")
        if isinstance(plugin, dict) and os.sep in str(plugin.get("command")):
            entry["exec"] = {**plugin, "command": str(folder / str(plugin["command"]))}
    return entries


def _check(access: ClusterAccess) -> None:
    """Refuse what would give the credentials away, and what is not supported."""
    cluster, user, origin = access.cluster, access.user, access.origin
    server = cluster.get("server")
    url = parse_http_url(server) if isinstance(server, str) else None
    proxy = cluster.get("proxy-url")
    texts = [entry.get(key) for entry in (cluster, user) for key in _TEXTS]
    unsupported = next(filter(user.get, _UNSUPPORTED), None)
    wrong = None
    if url is None:
        wrong = f"{origin} names no `server` such as https://HOST:6443"
    elif url.username is not None or url.password is not None:
        wrong = f"`server` of {origin} holds a user: use `users` for that"
    elif is_readable_on_the_way(url):
        wrong = f"`server` of {origin} has no TLS: use an address with https"
    elif cluster.get("insecure-skip-tls-verify") and not is_loopback(url.hostname):
        wrong = (
            f"{origin} has insecure-skip-tls-verify, which sends credentials to anybody: remove it"
            " and name the cluster's certificate-authority"
        )
    elif unsupported:
        wrong = (
            f"the user in {origin} has `{unsupported}`, which is not supported: use a token, a"
            " certificate or an exec plugin"
        )
    elif not all(isinstance(text, str | None) for text in texts):
        wrong = (
            f"the cluster or the user in {origin} has an entry of a wrong kind, such as a number"
            " for a text: correct it"
        )
    elif proxy and not parse_http_url(proxy):
        wrong = f"the proxy of {origin} cannot be used: write http://HOST:PORT as its proxy-url"
    if wrong:
        raise StoreUnreachableError(wrong)


def user_from_plugin(
    access: ClusterAccess, environment: Mapping[str, str], *, patience: float = PATIENCE
) -> dict[str, str]:
    """Run the plugin of `access`; return its credentials as the `user` of a kubeconfig.

    `patience` is in seconds. Raises `StoreUnreachableError`.
    """
    plugin = access.user["exec"]
    try:
        command = [str(plugin["command"]), *map(str, plugin.get("args") or ())]
        variables = {str(each["name"]): str(each["value"]) for each in plugin.get("env") or ()}
        version = str(plugin["apiVersion"])
    except (KeyError, TypeError, AttributeError):
        raise StoreUnreachableError(
            f"`exec` of {access.origin} needs `apiVersion`, `command`, and lists `args` and `env`:"
            " correct it"
        ) from None
    spec: dict[str, Any] = {"interactive": False}
    if plugin.get("provideClusterInfo"):
        spec["cluster"] = dict(access.cluster)
    info = json.dumps({"apiVersion": version, "kind": "ExecCredential", "spec": spec}, default=str)
    inherited = environment_for_programs(environment)
    variables = {**inherited, **variables, "KUBERNETES_EXEC_INFO": info}
    try:
        output = read_output(command, variables, patience)
    except ProgramError as error:
        raise _failed(command, str(error)) from None
    user = _parse_credentials(output)
    if not user:
        raise _failed(command, "printed no ExecCredential with a token or a certificate")
    return user


def _parse_credentials(output: bytes) -> dict[str, str]:
    try:
        status = json.loads(output)["status"]
        token = status.get("token")
        user = {"token": token} if token and isinstance(token, str) else {}
        for part in ("Certificate", "Key"):
            if text := status.get(f"client{part}Data"):
                user[f"client-{part.lower()}-data"] = base64.b64encode(text.encode()).decode()
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
    return user


def _failed(command: list[str], what: str) -> StoreUnreachableError:
    name = command[0] if command[0].isprintable() else repr(command[0])
    return StoreUnreachableError(
        f"the exec plugin {name} of the kubeconfig {what}: run it by hand, without a terminal,"
        " to see why"
    )

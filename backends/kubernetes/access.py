"""Where the API server is and who we are: from kubeconfig files or the pod's service account.

https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
"""

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_NAMESPACE = "default"
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_SECTIONS = {"clusters": "cluster", "contexts": "context", "users": "user"}
_FILES = {
    "cluster": ("certificate-authority",),
    "user": ("client-certificate", "client-key", "tokenFile"),
    "context": (),
}
_CREDENTIALS = (
    "token",
    "tokenFile",
    "client-certificate",
    "client-certificate-data",
    "username",
    "exec",
)
# What would be left out in silence, and would make us somebody else.
_UNSUPPORTED = ("as", "as-uid", "as-groups", "as-user-extra", "auth-provider")


class NoAccessError(Exception):
    """There is no usable way to an API server; the text is one line that says what to do."""


@dataclass(frozen=True, slots=True)
class Access:
    """The entries `cluster` and `user` of a kubeconfig, with absolute paths, and their origin.

    `namespace` is the one that kubectl would take, as it stands there.
    """

    cluster: Mapping[str, Any]
    user: Mapping[str, Any] = field(repr=False)
    origin: str
    namespace: str = _NAMESPACE

    @property
    def server(self) -> str:
        """The base URL of the API server."""
        return str(self.cluster["server"])

    @property
    def is_anonymous(self) -> bool:
        """Whether the user has nothing to show."""
        return not any(self.user.get(key) for key in _CREDENTIALS)

    @property
    def is_local(self) -> bool:
        """Whether the server is this very machine."""
        return _is_loopback(urlsplit(self.server).hostname or "")


def find_access(
    environment: Mapping[str, str], context: str | None, service_account: Path
) -> Access:
    """Take the first of: the files of `KUBECONFIG`, the pod's service account, `~/.kube/config`.

    A named context is one of a kubeconfig. Raises `NoAccessError`.
    """
    named = [Path(each) for each in environment.get("KUBECONFIG", "").split(os.pathsep) if each]
    if not named and context is None and _in_cluster(environment, service_account):
        return _checked(_of_pod(environment, service_account))
    usual = Path(environment.get("HOME") or Path.home(), ".kube", "config")
    return _checked(_of_files(named or [usual], context))


def _in_cluster(environment: Mapping[str, str], folder: Path) -> bool:
    names = ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT")
    return all(map(environment.get, names)) and Path(folder, "token").is_file()


def _of_pod(environment: Mapping[str, str], folder: Path) -> Access:
    host, port = environment["KUBERNETES_SERVICE_HOST"], environment["KUBERNETES_SERVICE_PORT"]
    return Access(
        cluster={
            "server": f"https://{f'[{host}]' if ':' in host else host}:{port}",
            "certificate-authority": str(folder / "ca.crt"),
        },
        user={"tokenFile": str(folder / "token")},
        origin="the pod's service account",
        namespace=_of_pods(folder / "namespace"),
    )


def _of_pods(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace").strip()
    except OSError:
        return _NAMESPACE  # as kubectl has it


def _of_files(paths: list[Path], context: str | None) -> Access:
    """Merge as kubectl does: of entries with one name the first counts, missing files do not."""
    found = [path for path in paths if path.is_file()]
    shown = os.pathsep.join(map(str, paths))
    if not found:
        raise NoAccessError(
            f"there is no kubeconfig {shown}: set KUBECONFIG to its path"
            " (inside a pod its service account is used instead)"
        )
    merged: dict[str, dict[str, Any]] = {section: {} for section in _SECTIONS}
    current = context
    for path in found:
        document = _load(path)
        current = current or document.get("current-context")
        for section, kind in _SECTIONS.items():
            for name, entry in _entries(document, section, kind, path).items():
                merged[section].setdefault(name, entry)
    if not current:
        raise NoAccessError(
            f"{shown} has no current context: choose one with kubectl config use-context,"
            " or write context=NAME among the options of the store URL, before its `#`"
        )
    chosen = _named(merged, "contexts", current, shown)
    cluster = _named(merged, "clusters", chosen.get("cluster"), shown)
    user = _named(merged, "users", chosen.get("user"), shown) if chosen.get("user") else {}
    namespace = str(chosen.get("namespace") or _NAMESPACE)
    return Access(cluster, user, f"the kubeconfig {shown}", namespace)


def _load(path: Path) -> dict[str, Any]:
    import yaml  # noqa: PLC0415 - loaded where it is used

    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise NoAccessError(
            f"the kubeconfig {path} cannot be read ({error.strerror}): see to its rights"
        ) from None
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        raise NoAccessError(f"the kubeconfig {path} is no YAML{line}: correct it") from None
    if not isinstance(document, dict):
        raise NoAccessError(f"the kubeconfig {path} is empty or no mapping: correct it")
    return document


def _entries(document: dict[str, Any], section: str, kind: str, path: Path) -> dict[str, Any]:
    try:
        entries = {item["name"]: dict(item.get(kind) or {}) for item in document.get(section) or ()}
    except (TypeError, ValueError, KeyError, AttributeError):
        raise NoAccessError(
            f"`{section}` of the kubeconfig {path} is no list of entries with `name` and `{kind}`:"
            " correct it"
        ) from None
    folder = path.parent.absolute()
    for entry in entries.values():
        for key in _FILES[kind]:
            if entry.get(key):
                entry[key] = str(folder / str(entry[key]))
        plugin = entry.get("exec")
        if isinstance(plugin, dict) and os.sep in str(plugin.get("command")):
            entry["exec"] = {**plugin, "command": str(folder / str(plugin["command"]))}
    return entries


def _named(merged: dict[str, dict[str, Any]], section: str, name: Any, shown: str) -> Any:  # noqa: ANN401 - of YAML
    if name not in merged[section]:
        raise NoAccessError(
            f"{shown} has no {_SECTIONS[section]} {str(name)!r}: kubectl config get-contexts lists"
            " what there is"
        )
    return merged[section][name]


def _checked(access: Access) -> Access:
    server = access.cluster.get("server")
    parts = urlsplit(server) if isinstance(server, str) else None
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise NoAccessError(f"{access.origin} names no `server` such as https://HOST:6443")
    if parts.username or parts.password:
        raise NoAccessError(f"`server` of {access.origin} holds a user: use `users` for that")
    if not access.is_local and parts.scheme == "http":
        raise NoAccessError(f"`server` of {access.origin} has no TLS: use an address with https")
    if not access.is_local and access.cluster.get("insecure-skip-tls-verify"):
        raise NoAccessError(
            f"{access.origin} has insecure-skip-tls-verify, which sends credentials to anybody:"
            " remove it and name the cluster's certificate-authority"
        )
    for key in _UNSUPPORTED:
        if access.user.get(key):
            raise NoAccessError(
                f"the user in {access.origin} has `{key}`, which is not supported: use a token,"
                " a certificate or an exec plugin"
            )
    return access


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

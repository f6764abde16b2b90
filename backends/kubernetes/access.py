"""Credentials from an exec plugin, such as `aws eks get-token`.

https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins

lightkube has its own, but without a time-out, without the version v1 of the protocol that newer
clusters ask for, and with the plugin's stderr in its errors.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import os
import re
import signal
import ssl
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import httpx2
    from lightkube.config.models import Cluster, User

_TIMEOUT = 60.0  # seconds; cloud logins take their time


def user_from_plugin(
    access: Access, environment: Mapping[str, str], *, timeout: float = _TIMEOUT
) -> dict[str, Any]:
    """Run the plugin of `access`; return its credentials as the `user` of a kubeconfig.

    `timeout` is in seconds. Raises `NoAccessError`.
    """
    plugin = access.user["exec"]
    try:
        command = [str(plugin["command"]), *map(str, plugin.get("args") or ())]
        settings = {str(each["name"]): str(each["value"]) for each in plugin.get("env") or ()}
        version = str(plugin["apiVersion"])
    except (KeyError, TypeError, AttributeError):
        raise NoAccessError(
            f"`exec` of {access.origin} needs `apiVersion`, `command`, and lists `args` and `env`:"
            " correct it"
        ) from None
    spec: dict[str, Any] = {"interactive": False}
    if plugin.get("provideClusterInfo"):
        spec["cluster"] = dict(access.cluster)
    told = {"apiVersion": version, "kind": "ExecCredential", "spec": spec}
    answer = _output(
        command,
        {**environment, **settings, "KUBERNETES_EXEC_INFO": json.dumps(told, default=str)},
        timeout,
    )
    user = _user(answer)
    if not user:
        raise _failed(command, "printed no ExecCredential with a token or a certificate")
    return user


def _output(command: list[str], environment: dict[str, str], timeout: float) -> bytes:
    try:
        process = subprocess.Popen(  # noqa: S603 - it is the kubeconfig's, as for kubectl
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise _failed(command, f"cannot be started ({type(error).__name__})") from None
    with process:
        try:
            answer, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # with what it started, which holds the pipe
            raise _failed(command, f"did not end within {timeout:g} seconds") from None
    if process.returncode:
        raise _failed(command, f"failed with exit status {process.returncode}")
    return answer


def _user(answer: bytes) -> dict[str, Any]:
    try:
        status = json.loads(answer)["status"]
        user = {"token": status["token"]} if status.get("token") else {}
        for part in ("Certificate", "Key"):
            if text := status.get(f"client{part}Data"):
                encoded = base64.b64encode(text.encode()).decode()
                user[f"client-{part.lower()}-data"] = encoded
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
    return user


def _failed(command: list[str], what: str) -> NoAccessError:
    name = command[0] if command[0].isprintable() else repr(command[0])
    return NoAccessError(
        f"the exec plugin {name} of the kubeconfig {what}: run it by hand, without a terminal,"
        " to see why"
    )


_CONNECT, _READ = 5.0, 15.0  # seconds
_BEARER = re.compile(r"[!-~]+")


class Login(NamedTuple):
    """A way to the API server that has been found, to be used for many requests."""

    access: Access
    user: User
    tls: ssl.SSLContext

    def __repr__(self) -> str:
        return f"Login({self.access.server!r})"

    def client(self) -> httpx2.Client:
        """Return a new client, which reads a token file anew; raises `NoAccessError`."""
        import httpx2  # noqa: PLC0415 - loaded where it is used

        try:
            return httpx2.Client(
                base_url=self.access.server,
                auth=self._auth(),
                verify=self.tls,
                proxy=self.access.cluster.get("proxy-url"),
                trust_env=not self.access.is_local,
                timeout=httpx2.Timeout(_READ, connect=_CONNECT),
                headers={"User-Agent": "nocturna-rotator", "Accept": "application/json"},
                follow_redirects=False,
            )
        except (ValueError, ImportError, httpx2.InvalidURL):
            raise NoAccessError(
                f"the proxy of {self.access.origin}, or of HTTPS_PROXY, cannot be used: write"
                " http://HOST:PORT"
            ) from None

    def _auth(self) -> httpx2.Auth | None:
        from lightkube.config.client_adapter import user_auth  # noqa: PLC0415 - loaded where it is used
        from lightkube.config.models import User  # noqa: PLC0415 - (the same)

        token, file = self.user.token, self.user.token_file
        if file is not None:
            token = _content(file)
        if token is None:
            return user_auth(self.user)
        if not _BEARER.fullmatch(token):
            raise NoAccessError(
                f"the token {f'in {file}' if file else f'of {self.access.origin}'} is empty, or no"
                " token: renew it"
            )
        return user_auth(User(token=token))


def log_in(environment: Mapping[str, str], context: str | None, service_account: Path) -> Login:
    """Find the API server and our credentials; raises `NoAccessError`."""
    import msgspec  # noqa: PLC0415 - loaded where it is used
    from lightkube.config.models import Cluster, User  # noqa: PLC0415 - (the same)

    access = find_access(environment, context, service_account)
    entry = user_from_plugin(access, environment) if access.user.get("exec") else access.user
    try:
        cluster, user = msgspec.convert(access.cluster, Cluster), msgspec.convert(entry, User)
    except msgspec.ValidationError:
        raise NoAccessError(
            f"the cluster or the user in {access.origin} has an entry of a wrong kind, such as a"
            " number for a text: correct it"
        ) from None
    return Login(access, user, _tls(access, cluster, user))


def _tls(access: Access, cluster: Cluster, user: User) -> ssl.SSLContext:
    from lightkube.config.client_adapter import verify_cluster  # noqa: PLC0415 - loaded where it is used

    if access.server.startswith("http:"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls: ssl.SSLContext | None = None
    # The error has to be gone before another is raised: it holds a temporary file with the key.
    with suppress(OSError, ValueError, TypeError):
        tls = verify_cluster(cluster, user, str, trust_env=not access.is_local)
    if tls is None:
        raise NoAccessError(
            f"a certificate or a key of {access.origin} is missing or broken: look at"
            " certificate-authority, client-certificate and client-key"
        )
    if cluster.certificate_auth or cluster.certificate_auth_data:
        # Python 3.13 asks more of an authority than Go does, and than the ones of EKS offer:
        # https://github.com/kubernetes-client/python/issues/2394
        tls.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return tls


def _content(file: str) -> str:
    try:
        return Path(file).read_text("utf-8", "replace").strip()
    except OSError as error:
        raise NoAccessError(
            f"the token file {file} cannot be read ({error.strerror}): restore it, or its rights"
        ) from None


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

"""Where the server is and how to log in: the variables that the Vault and OpenBao tools read.

OpenBao's names win over Vault's, as they do for its CLI
(https://openbao.org/docs/commands/#environment-variables); empty is as good as unset.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from backends.vault.failures import Names
from backends.vault.login import AppRole, GivenToken, Jwt, Login, TokenFile, is_token
from rotator.errors import ConfigError

_DEFAULT = "https://127.0.0.1:8200"
_POD_JWT = "/var/run/secrets/kubernetes.io/serviceaccount/token"
_LOOPBACK = re.compile(r"localhost|127(\.[0-9]{1,3}){3}|::1")
_METHODS = ("token", "approle", "kubernetes", "jwt")


@dataclass(frozen=True, slots=True)
class Settings:
    """One server, and one way to log in there; equal settings may share a session."""

    address: str
    is_default: bool
    is_local: bool  # on this machine
    is_open: bool  # what it is sent can be read on the way
    namespace: str | None
    verify: bool
    ca_file: str | None
    ca_folder: str | None
    client_cert: tuple[str, str] | str | None
    login: Login
    names: Names

    @classmethod
    def parse(cls, environ: Mapping[str, str]) -> "Settings":
        """Read the variables; raises `ConfigError`, which never shows a credential."""
        get = _Variables(environ)
        address = (get("ADDR") or _DEFAULT).rstrip("/")
        host, scheme = _checked(address, get.name("ADDR"))
        loopback = bool(_LOOPBACK.fullmatch(host))
        cert, key = get("CLIENT_CERT"), get("CLIENT_KEY")
        namespace = get("NAMESPACE")
        if namespace and not is_token(namespace):
            raise ConfigError(f"{get.name('NAMESPACE')} is no name of a namespace: correct it")
        return cls(
            address=address,
            is_default=not get("ADDR"),
            is_local=loopback,
            is_open=scheme == "http" and not loopback,
            namespace=namespace.strip("/") if namespace else None,
            verify=_verify(get, loopback=loopback),
            ca_file=get("CACERT"),
            ca_folder=None if get("CACERT") else get("CAPATH"),
            client_cert=(cert, key) if cert and key else cert,
            login=_login(get, environ),
            names=get.name,
        )


class _Variables:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.name = Names.set_in(environ)

    def __call__(self, name: str) -> str | None:
        return self._environ.get(self.name(name)) or None


def _checked(address: str, name: str) -> tuple[str, str]:
    try:
        url = urlsplit(address)
        host, _ = url.hostname or "", url.port
    except ValueError:
        host = ""
    if not host or url.scheme not in ("http", "https") or url.query or url.fragment:
        raise ConfigError(f"{name} is no address of a server: write {_DEFAULT}")
    if "@" in url.netloc or not address.isprintable() or " " in address:
        raise ConfigError(f"{name} holds a user, a password or spaces: write {_DEFAULT}")
    if url.path.endswith("/v1"):
        raise ConfigError(f"{name} ends with /v1, which is added by itself: remove it")
    return host, url.scheme


def _verify(get: _Variables, *, loopback: bool) -> bool:
    skip = (get("SKIP_VERIFY") or "").lower()
    if skip in ("", "0", "f", "false"):
        return True
    if loopback:
        return False
    raise ConfigError(
        f"{get.name('SKIP_VERIFY')} is refused, as anybody could then read the tokens: set"
        f" {get.name('CACERT')} to the file of the server's CA"
    )


def _login(get: _Variables, environ: Mapping[str, str]) -> Login:
    match _method(get):
        case "approle":
            return _approle(get)
        case "kubernetes" | "jwt" as method:
            role = get("ROLE")
            if not role:
                raise ConfigError(
                    f"{get.name('AUTH_METHOD')}={method} needs {get.name('ROLE')}: set it"
                )
            return Jwt(_mount(get, method), role, Path(get("JWT_FILE") or _POD_JWT))
    token = get("TOKEN")
    if token is None:
        return TokenFile(Path(environ.get("HOME") or Path.home(), ".vault-token"))
    if not is_token(token):
        raise ConfigError(f"{get.name('TOKEN')} is no token, but has spaces, line breaks or worse")
    return GivenToken(token)


def _method(get: _Variables) -> str:
    method = get("AUTH_METHOD")
    if method:
        if method not in _METHODS:
            raise ConfigError(
                f"{get.name('AUTH_METHOD')} is none of {', '.join(_METHODS)}: set it to one of them"
            )
        return method
    if get("ROLE"):
        raise ConfigError(
            f"{get.name('ROLE')} is set without a method: set {get.name('AUTH_METHOD')} to"
            " kubernetes or jwt"
        )
    if get("ROLE_ID") and get("TOKEN"):
        raise ConfigError(
            f"{get.name('TOKEN')} and {get.name('ROLE_ID')} are both set: set"
            f" {get.name('AUTH_METHOD')} to token or approle"
        )
    return "approle" if get("ROLE_ID") or get("SECRET_ID") or get("SECRET_ID_FILE") else "token"


def _approle(get: _Variables) -> AppRole:
    role_id, secret_id, file = get("ROLE_ID"), get("SECRET_ID"), get("SECRET_ID_FILE")
    if not role_id:
        raise ConfigError(f"a login by AppRole needs {get.name('ROLE_ID')}: set it")
    if secret_id and file:
        raise ConfigError(
            f"{get.name('SECRET_ID')} and {get.name('SECRET_ID_FILE')} are both set: remove one"
        )
    return AppRole(_mount(get, "approle"), role_id, secret_id, Path(file) if file else None)


def _mount(get: _Variables, method: str) -> str:
    mount = (get("AUTH_PATH") or method).strip("/").removeprefix("auth/")
    if not re.fullmatch(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*", mount) or ".." in mount:
        raise ConfigError(f"{get.name('AUTH_PATH')} is no path of an auth method: write {method}")
    return mount

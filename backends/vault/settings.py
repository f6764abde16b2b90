"""Where the server is and how to log in: the variables that the `vault` and `bao` commands read.

OpenBao's names win over Vault's, as they do for its CLI
(https://openbao.org/docs/commands/#environment-variables); an empty variable counts as unset.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult

from backends.remote import find_home
from backends.vault.failures import VariableNames
from backends.vault.logins import TOKEN_FILE, AppRole, GivenToken, Jwt, Login, TokenFile, is_token
from rotator.errors import ConfigError, has_control
from rotator.http.urls import is_loopback, is_readable_on_the_way, parse_http_url

_DEFAULT = "https://127.0.0.1:8200"
_POD_JWT = "/var/run/secrets/kubernetes.io/serviceaccount/token"
_VARIABLES = (
    *("ADDR", "NAMESPACE", "CACERT", "CAPATH", "CLIENT_CERT", "CLIENT_KEY", "SKIP_VERIFY"),
    *("AUTH_METHOD", "AUTH_PATH", "ROLE", "ROLE_ID", "SECRET_ID", "SECRET_ID_FILE", "JWT_FILE"),
    "TOKEN",
)
_METHODS = ("token", "approle", "kubernetes", "jwt")


@dataclass(frozen=True, slots=True)
class VaultSettings:
    """One server, and one way to log in there; equal settings may share a session."""

    address: str
    is_default: bool  # nobody has set the address
    is_plain: bool  # http to another machine: the network can read what is sent
    namespace: str | None
    verify: bool
    authorities: tuple[str, Path] | None  # the variable that names them, and a file or a folder
    client_cert: tuple[str, str] | str | None
    login: Login
    names: VariableNames

    @classmethod
    def parse(cls, environ: Mapping[str, str]) -> VaultSettings:
        """Read the variables; raises `ConfigError`, which never shows a credential."""
        # By their names, as a fleet reads them for each of its tokens.
        vault, openbao = (
            {name: value for name in _VARIABLES if (value := environ.get(f"{prefix}_{name}"))}
            for prefix in ("VAULT", "BAO")
        )
        names = VariableNames(openbao)
        try:
            return _parse(vault | openbao, find_home(environ), names)
        except ConfigError as error:
            raise ConfigError(names.spell(error)) from None


def _parse(variables: Mapping[str, str], home: Path | None, names: VariableNames) -> VaultSettings:
    get = variables.get
    address = get("ADDR", _DEFAULT).rstrip("/")
    url = _parse_address(address)
    named = (name for name in ("CACERT", "CAPATH") if name in variables)
    cert, key, namespace = get("CLIENT_CERT"), get("CLIENT_KEY"), get("NAMESPACE")
    if namespace and not is_token(namespace):
        raise ConfigError("VAULT_NAMESPACE is not the name of a namespace: correct it")
    return VaultSettings(
        address=address,
        is_default="ADDR" not in variables,
        is_plain=is_readable_on_the_way(url),
        namespace=namespace.strip("/") if namespace else None,
        verify=_parse_verify(get("SKIP_VERIFY", ""), url),
        authorities=next(((f"VAULT_{name}", Path(variables[name])) for name in named), None),
        client_cert=(cert, key) if cert and key else cert,
        login=_parse_login(variables, home),
        names=names,
    )


def _parse_address(address: str) -> SplitResult:
    url = parse_http_url(address)
    if url is None:
        raise ConfigError(f"VAULT_ADDR is no address of a server: write {_DEFAULT}")
    if "@" in url.netloc or not address.isprintable():
        raise ConfigError(
            f"VAULT_ADDR holds a user, a password or control characters: write {_DEFAULT}"
        )
    if url.path.endswith("/v1"):
        raise ConfigError("VAULT_ADDR ends with /v1, which is added by itself: remove it")
    return url


def _parse_verify(skip: str, url: SplitResult) -> bool:
    if skip.lower() in ("", "0", "f", "false"):
        return True
    if is_loopback(url.hostname):
        return False
    raise ConfigError(
        "VAULT_SKIP_VERIFY is refused, as anybody could then read the tokens: set VAULT_CACERT to"
        " the file of the server's CA"
    )


def _parse_login(variables: Mapping[str, str], home: Path | None) -> Login:
    get = variables.get
    for name in ("ROLE_ID", "SECRET_ID", "ROLE"):
        if has_control(get(name, "")):
            raise ConfigError(f"VAULT_{name} has line breaks or worse in it: set it again")
    match _choose_method(variables):
        case "approle":
            if "ROLE_ID" not in variables:
                raise ConfigError("a login by AppRole needs VAULT_ROLE_ID: set it")
            secret_id, file = get("SECRET_ID"), get("SECRET_ID_FILE")
            if secret_id and file:
                wrong = "VAULT_SECRET_ID and VAULT_SECRET_ID_FILE are both set: remove one"
                raise ConfigError(wrong)
            mount = _parse_mount(variables, "approle")
            return AppRole(mount, variables["ROLE_ID"], secret_id, Path(file) if file else None)
        case "kubernetes" | "jwt" as method:
            if "ROLE" not in variables:
                raise ConfigError(f"VAULT_AUTH_METHOD={method} needs VAULT_ROLE: set it")
            mount = _parse_mount(variables, method)
            return Jwt(mount, variables["ROLE"], Path(get("JWT_FILE", _POD_JWT)))
    token = get("TOKEN")
    if token is None:
        return TokenFile(home / TOKEN_FILE if home else None)
    if not is_token(token):
        raise ConfigError("VAULT_TOKEN is no token: it has spaces, line breaks or worse")
    return GivenToken(token)


def _choose_method(variables: Mapping[str, str]) -> str:
    if method := variables.get("AUTH_METHOD"):
        if method in _METHODS:
            return method
        raise ConfigError(
            f"VAULT_AUTH_METHOD is none of {', '.join(_METHODS)}: set it to one of them"
        )
    if "ROLE" in variables:
        raise ConfigError(
            "VAULT_ROLE is set without a method: set VAULT_AUTH_METHOD to kubernetes or jwt"
        )
    if {"ROLE_ID", "TOKEN"} <= variables.keys():
        raise ConfigError(
            "VAULT_TOKEN and VAULT_ROLE_ID are both set: set VAULT_AUTH_METHOD to token or approle"
        )
    approle = {"ROLE_ID", "SECRET_ID", "SECRET_ID_FILE"} & variables.keys()
    return "approle" if approle else "token"


def _parse_mount(variables: Mapping[str, str], method: str) -> str:
    mount = variables.get("AUTH_PATH", method).strip("/").removeprefix("auth/")
    if not re.fullmatch(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*", mount) or ".." in mount:
        raise ConfigError(f"VAULT_AUTH_PATH is no path of an auth method: write {method}")
    return mount

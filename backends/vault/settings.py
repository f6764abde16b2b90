"""Where the server is and how to log in: the variables that the `vault` and `bao` commands read.

OpenBao's names win over Vault's, as they do for its CLI
(https://openbao.org/docs/commands/#environment-variables); an empty variable counts as unset.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from backends.remote import find_home
from backends.vault.failures import VariableNames, VaultAnswer, as_object, explain
from rotator.errors import ConfigError, StoreDeniedError, StoreUnreachableError, has_control
from rotator.files import read_small_text
from rotator.http.urls import is_loopback, is_readable_on_the_way, parse_http_url

_DEFAULT = "https://127.0.0.1:8200"
_POD_JWT = "/var/run/secrets/kubernetes.io/serviceaccount/token"
_TOKEN_FILE = ".vault-token"  # noqa: S105 - a name
_OTHER_WAYS = "set VAULT_TOKEN, or VAULT_ROLE_ID and VAULT_SECRET_ID, or VAULT_AUTH_METHOD"
_NO_TOKEN = f"there is no Vault token: {_OTHER_WAYS}"
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
        vault, openbao = (_read_variables(environ, prefix) for prefix in ("VAULT_", "BAO_"))
        names = VariableNames(openbao)
        try:
            return _parse(vault | openbao, find_home(environ), names)
        except ConfigError as error:
            raise ConfigError(names.spell(error)) from None


def _read_variables(environ: Mapping[str, str], prefix: str) -> dict[str, str]:
    found = ((name, value) for name, value in environ.items() if name.startswith(prefix) and value)
    return {name.removeprefix(prefix): value for name, value in found}


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
        return TokenFile(home / _TOKEN_FILE if home else None)
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


if TYPE_CHECKING:
    import hvac

Connect = Callable[[str], "hvac.Client"]  # opens a client that sends this token


@dataclass(frozen=True, slots=True)
class Lease:
    """A client whose token lives `left` of `life` seconds; both are 0 if it never ends.

    It serves `uses` requests, 0 if there is no limit.
    """

    client: hvac.Client
    left: float
    life: float
    renewable: bool
    uses: int = 0

    @classmethod
    def parse(cls, client: hvac.Client, answer: VaultAnswer) -> Lease:
        """Give the client the token of a login or a renewal; raises `StoreError` if it is none."""
        auth = as_object(answer.body.get("auth"))
        token, seconds = auth.get("client_token"), _seconds(auth.get("lease_duration"))
        if not isinstance(token, str) or not is_token(token):
            raise explain(answer)
        client.token = token
        is_renewable, uses = auth.get("renewable") is True, int(_seconds(auth.get("num_uses")))
        return cls(client, seconds, seconds, is_renewable, uses)


@dataclass(frozen=True, slots=True)
class GivenToken:
    token: str = field(repr=False)
    is_renewed = True
    remedy = "set VAULT_TOKEN to another"

    def acquire(self, connect: Connect) -> Lease:
        """Return the token, with its life if it may ask for that."""
        client = connect(self.token)
        answer = client.auth.token.lookup_self()
        if answer.status == HTTPStatus.OK:
            data = answer.data
            left, life = _seconds(data.get("ttl")), _seconds(data.get("creation_ttl"))
            is_renewable, uses = data.get("renewable") is True, int(_seconds(data.get("num_uses")))
            return Lease(client, left, max(left, life), is_renewable, uses)
        if answer.status == HTTPStatus.FORBIDDEN:  # no right to ask; or no token, as will be seen
            return Lease(client, 0, 0, renewable=False)
        raise explain(answer)


@dataclass(frozen=True, slots=True)
class TokenFile:
    """The file in which `vault login` and `bao login` leave a token.

    https://developer.hashicorp.com/vault/docs/commands/token-helper
    """

    path: Path | None  # None where nobody knows the home folder
    is_renewed = True
    remedy = "log in again: vault login, or bao login"

    def acquire(self, connect: Connect) -> Lease:
        """Return the token that the file holds now, with its life if it may ask for that."""
        try:
            token = _read_file(self.path, if_missing=_NO_TOKEN)
        except StoreDeniedError:
            if agent := _ask_agent(connect):
                return agent
            raise
        if not is_token(token):
            raise StoreDeniedError("the file of the Vault token holds none: log in again")
        return GivenToken(token).acquire(connect)


@dataclass(frozen=True, slots=True)
class AppRole:
    """https://developer.hashicorp.com/vault/api-docs/auth/approle#login-with-approle."""

    mount: str
    role_id: str = field(repr=False)
    secret_id: str | None = field(repr=False)
    secret_id_file: Path | None
    is_renewed = False
    remedy = "run again: a login by AppRole gives another"

    def acquire(self, connect: Connect) -> Lease:
        """Log in; a role that binds no secret ID needs none."""
        secret_id = _read_file(self.secret_id_file) if self.secret_id_file else self.secret_id
        variable = "VAULT_SECRET_ID_FILE" if self.secret_id_file else "VAULT_SECRET_ID"
        fault = "may have expired or be used up" if secret_id else "is not set or empty"
        client = connect("")
        answer = client.auth.approle.login(
            self.role_id, secret_id, use_token=False, mount_point=self.mount
        )
        return _accept(
            client, answer, self.mount, f"see VAULT_ROLE_ID and {variable}, which {fault}"
        )


@dataclass(frozen=True, slots=True)
class Jwt:
    """A login by the JWT in a file, which `jwt` and `kubernetes` mounts take in the same form.

    https://developer.hashicorp.com/vault/api-docs/auth/kubernetes#login
    """

    mount: str
    role: str
    file: Path
    is_renewed = False
    remedy = "run again: a login by JWT gives another"

    def acquire(self, connect: Connect) -> Lease:
        """Log in with what the file holds now: Kubernetes replaces it every hour."""
        client, jwt = connect(""), _read_file(self.file)
        answer = client.auth.jwt.jwt_login(self.role, jwt, use_token=False, path=self.mount)
        hint = f"see VAULT_ROLE, what that role is bound to, and the JWT in {self.file}"
        return _accept(client, answer, self.mount, hint)


# As settings: equal logins may share a session. `is_renewed` says that there is no way to another
# token; `remedy` is what to do when the server does not know the token any more.
Login = GivenToken | TokenFile | AppRole | Jwt


def is_token(text: str) -> bool:
    """Tell whether a text can be sent as a token: one word of printable ASCII."""
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


def is_live(client: hvac.Client) -> bool:
    """Tell whether the server knows the token: a 403 is then about a right.

    Every token may ask about a mount, as the CLI does; one that lacks rights is told so:
    https://developer.hashicorp.com/vault/api-docs/system/internal-ui-mounts
    """
    answer: VaultAnswer = client.read("sys/internal/ui/mounts/cubbyhole")
    return answer.status != HTTPStatus.FORBIDDEN or "preflight capability check" in answer.errors


def _ask_agent(connect: Connect) -> Lease | None:
    """Return a client without a token if an agent on this machine adds its own; it renews that.

    https://developer.hashicorp.com/vault/docs/agent-and-proxy/autoauth
    """
    client = connect("")
    if not is_loopback(urlsplit(client.url).hostname):
        return None
    with suppress(StoreUnreachableError):
        answer = client.auth.token.lookup_self()
        if answer.is_success or (answer.status == HTTPStatus.FORBIDDEN and is_live(client)):
            return Lease(client, 0, 0, renewable=False)
    return None


def _accept(client: hvac.Client, answer: VaultAnswer, mount: str, hint: str) -> Lease:
    if answer.status == HTTPStatus.OK:
        return Lease.parse(client, answer)
    if answer.is_foreign or answer.status not in (400, 401, 403, 500):
        raise explain(answer)
    is_fault = answer.status == HTTPStatus.INTERNAL_SERVER_ERROR  # or the JWT cannot be parsed
    raise (StoreUnreachableError if is_fault else StoreDeniedError)(
        f"the login at auth/{mount} {'fails' if is_fault else 'is refused'} ({answer.status}):"
        f" {hint}, whether that auth method is enabled (VAULT_AUTH_PATH, VAULT_NAMESPACE), and the"
        " server's log"
    )


def _read_file(path: Path | None, if_missing: str = "") -> str:
    if path is None:
        raise StoreDeniedError(if_missing)
    try:
        text = read_small_text(path, "ascii").strip()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise StoreDeniedError(if_missing or _unreadable(path, error.strerror)) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no ASCII text"
        raise StoreDeniedError(_unreadable(path, reason)) from None
    if has_control(text):
        raise StoreDeniedError(f"{path} has line breaks or worse in its text: correct it")
    return text


def _unreadable(path: Path, reason: str | None) -> str:
    hint = f": {_OTHER_WAYS}" if path.name == _TOKEN_FILE else ""
    return f"{path} cannot be read ({reason}), which the login at Vault needs{hint}"


def _seconds(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0

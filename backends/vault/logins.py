"""The ways to log in at Vault: each gives a client with a live token, and the life that is left."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from backends.vault.failures import VaultAnswer, as_object, explain
from rotator.errors import StoreDeniedError, StoreUnreachableError, has_control
from rotator.files import read_small_text
from rotator.http.urls import is_loopback

if TYPE_CHECKING:
    import hvac

TOKEN_FILE = ".vault-token"  # noqa: S105 - a name
_OTHER_WAYS = "set VAULT_TOKEN, or VAULT_ROLE_ID and VAULT_SECRET_ID, or VAULT_AUTH_METHOD"
_NO_TOKEN = f"there is no Vault token: {_OTHER_WAYS}"

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
    hint = f": {_OTHER_WAYS}" if path.name == TOKEN_FILE else ""
    return f"{path} cannot be read ({reason}), which the login at Vault needs{hint}"


def _seconds(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0

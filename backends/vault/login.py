"""The ways to a Vault token: a token that is given, or a login by AppRole, Kubernetes or JWT."""

from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from backends.vault.failures import VaultAnswer, as_object, explain
from rotator.errors import StoreDeniedError, StoreUnreachableError

if TYPE_CHECKING:
    import hvac

Connect = Callable[[str], "hvac.Client"]  # opens a client that sends this token


@dataclass(frozen=True, slots=True)
class Lease:
    """A client whose token lives `left` of `life` seconds; both are 0 if it never ends."""

    client: "hvac.Client"
    left: float
    life: float
    renewable: bool

    @classmethod
    def parse(cls, client: "hvac.Client", answer: VaultAnswer) -> "Lease":
        """Give the client the token of a login or a renewal; raises `StoreError` if it is none."""
        auth = as_object(answer.body.get("auth"))
        token, seconds = auth.get("client_token"), _seconds(auth.get("lease_duration"))
        if not isinstance(token, str) or not is_token(token):
            raise explain(answer)
        client.token = token
        return cls(client, seconds, seconds, auth.get("renewable") is True)


@dataclass(frozen=True, slots=True)
class GivenToken:
    """The token of VAULT_TOKEN."""

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
            return Lease(client, left, max(left, life), data.get("renewable") is True)
        if answer.status == HTTPStatus.FORBIDDEN:  # no right to ask; or no token, as will be seen
            return Lease(client, 0, 0, renewable=False)
        raise explain(answer)


@dataclass(frozen=True, slots=True)
class TokenFile:
    """The file in which `vault login` and `bao login` leave a token.

    https://developer.hashicorp.com/vault/docs/commands/token-helper
    """

    path: Path
    is_renewed = True
    remedy = "log in again: vault login, or bao login"

    def acquire(self, connect: Connect) -> Lease:
        """Return the token that the file holds now, with its life if it may ask for that."""
        if not self.path.exists():
            raise StoreDeniedError(
                "there is no Vault token: set VAULT_TOKEN, or VAULT_ROLE_ID and VAULT_SECRET_ID, or"
                " VAULT_AUTH_METHOD"
            )
        token = _read_file(self.path)
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


def _accept(client: "hvac.Client", answer: VaultAnswer, mount: str, hint: str) -> Lease:
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


def _read_file(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no ASCII text"
        raise StoreDeniedError(
            f"{path} cannot be read ({reason}), which the login at Vault needs"
        ) from None


def _seconds(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0

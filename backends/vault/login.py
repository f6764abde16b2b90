"""The ways to a Vault token: one that is given, or a login by AppRole, Kubernetes or JWT."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from backends.vault.failures import Answer, Names, RefusedError, as_object, refusal
from rotator.errors import StoreDeniedError, StoreUnreachableError

Send = Callable[..., Answer]
_OK = 200


@dataclass(frozen=True, slots=True)
class Lease:
    """A Vault token and how long it lives, in seconds: `left` of `life`, 0 of 0 without an end."""

    token: str = field(repr=False)
    left: float
    life: float
    renewable: bool


class Login(Protocol):
    """A way to a token, as settings: two of the same kind with the same values are equal."""

    @property
    def renews(self) -> bool:
        """Whether its token is to be renewed, since there is no way to another."""
        ...

    def remedy(self, names: Names) -> str:
        """Return what to do when the server knows the token no more."""
        ...

    def acquire(self, send: Send, names: Names) -> Lease:
        """Return a token that is as new as can be; raises `RefusedError`."""
        ...


@dataclass(frozen=True, slots=True)
class GivenToken:
    """The token of VAULT_TOKEN."""

    token: str = field(repr=False)
    renews = True

    def remedy(self, names: Names) -> str:
        """Ask for another."""
        return f"set {names('TOKEN')} to another"

    def acquire(self, send: Send, names: Names) -> Lease:
        """Ask how long the token lives; who may not ask that uses it as it is."""
        return _looked_up(self.token, send, names)


@dataclass(frozen=True, slots=True)
class TokenFile:
    """The file in which `vault login` and `bao login` leave a token, read again when it is over.

    https://developer.hashicorp.com/vault/docs/commands/token-helper
    """

    path: Path
    renews = True

    def remedy(self, names: Names) -> str:
        """Let the command write the file anew."""
        del names
        return "log in again: vault login, or bao login"

    def acquire(self, send: Send, names: Names) -> Lease:
        """Read the file, and ask how long its token lives."""
        if not self.path.exists():
            raise RefusedError(
                StoreDeniedError,
                f"there is no Vault token: set {names('TOKEN')}, or {names('ROLE_ID')} and"
                f" {names('SECRET_ID')}, or {names('AUTH_METHOD')}",
            )
        return _looked_up(_content(self.path), send, names)


@dataclass(frozen=True, slots=True)
class AppRole:
    """https://developer.hashicorp.com/vault/api-docs/auth/approle#login-with-approle."""

    mount: str
    role_id: str = field(repr=False)
    secret_id: str | None = field(repr=False)
    secret_id_file: Path | None
    renews = False

    def remedy(self, names: Names) -> str:
        """Let the next run log in."""
        del names
        return "run again: a login by AppRole gives another"

    def acquire(self, send: Send, names: Names) -> Lease:
        """Log in; a role that binds no secret id needs none."""
        body = {"role_id": self.role_id}
        secret_id = _content(self.secret_id_file) if self.secret_id_file else self.secret_id
        if secret_id:
            body["secret_id"] = secret_id
            source = names("SECRET_ID_FILE" if self.secret_id_file else "SECRET_ID")
            about = f"{source}, which may have expired or be used up"
        else:
            about = f"{names('SECRET_ID')}, which is not set"
        hint = f"see {names('ROLE_ID')} and {about}"
        return _logged_in(send, names, self.mount, body, hint)


@dataclass(frozen=True, slots=True)
class Jwt:
    """A login by the JWT in a file, which `jwt` and `kubernetes` mounts take alike.

    https://developer.hashicorp.com/vault/api-docs/auth/kubernetes#login
    """

    mount: str
    role: str
    file: Path
    renews = False

    def remedy(self, names: Names) -> str:
        """Let the next run log in."""
        del names
        return "run again: a login by JWT gives another"

    def acquire(self, send: Send, names: Names) -> Lease:
        """Log in by what the file says now: Kubernetes writes it anew every hour."""
        body = {"role": self.role, "jwt": _content(self.file)}
        hint = f"see {names('ROLE')}, what that role is bound to, and the JWT in {self.file}"
        return _logged_in(send, names, self.mount, body, hint)


def lease_of(answer: Answer, names: Names) -> Lease:
    """Return the token of a login or a renewal that has worked."""
    auth = as_object(answer.body.get("auth"))
    token, seconds = auth.get("client_token"), _seconds(auth.get("lease_duration"))
    if not isinstance(token, str) or not is_token(token):
        raise refusal(answer, names)
    return Lease(token, seconds, seconds, auth.get("renewable") is True)


def is_token(text: str) -> bool:
    """Tell whether a text can be sent as a token: one word of printable ASCII."""
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


def _looked_up(token: str, send: Send, names: Names) -> Lease:
    if not is_token(token):
        raise RefusedError(StoreDeniedError, "the file of the Vault token holds none: log in again")
    answer = send("GET", "auth/token/lookup-self", token=token)
    if answer.status == _OK:
        data = answer.data
        left, life = _seconds(data.get("ttl")), _seconds(data.get("creation_ttl"))
        return Lease(token, left, max(left, life), data.get("renewable") is True)
    if answer.status == 403:  # noqa: PLR2004 - no right to ask, or no token: the next call tells
        return Lease(token, 0, 0, renewable=False)
    raise refusal(answer, names)


def _logged_in(send: Send, names: Names, mount: str, body: dict[str, str], hint: str) -> Lease:
    answer = send("POST", f"auth/{mount}/login", body)
    if answer.status == _OK:
        return lease_of(answer, names)
    if answer.status in (400, 401, 403) and not answer.is_foreign:
        raise RefusedError(
            StoreDeniedError,
            f"the login at auth/{mount} is refused ({answer.status}): {hint}, and whether that auth"
            f" method is enabled ({names('AUTH_PATH')}, {names('NAMESPACE')})",
        )
    if answer.status == 500 and not answer.is_foreign:  # noqa: PLR2004 - also a JWT that cannot be read
        raise RefusedError(
            StoreUnreachableError,
            f"the login at auth/{mount} fails (500): {hint}, and the server's log",
        )
    raise refusal(answer, names)


def _content(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no ASCII text"
        raise RefusedError(
            StoreDeniedError, f"{path} cannot be read ({reason}), which the login at Vault needs"
        ) from None


def _seconds(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0

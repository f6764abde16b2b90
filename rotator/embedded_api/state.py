"""What the embedded API remembers: its signing key, accounts, refresh tokens and service tokens."""

import hashlib
import secrets
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from threading import RLock
from typing import Any
from uuid import uuid4

import jwt

from rotator.clock import Clock

_ETERNITY = timedelta(days=36500)


@dataclass(slots=True)
class User:
    """An account; the password is in plain text because nothing outlives the process."""

    id: str
    email: str
    password: str = field(repr=False)
    is_admin: bool


@dataclass(slots=True)
class ServiceTokenRow:
    """A row of the service token table; times are aware UTC, `secret` is the JWT."""

    id: str
    user_id: str
    scope: str | None
    created_at: datetime
    expires_at: datetime
    secret: str = field(repr=False)
    last_used_at: datetime | None = None
    revoked: bool = False

    def is_live(self, now: datetime) -> bool:
        """Tell whether the exchange accepts this token."""
        return not self.revoked and self.expires_at > now


@dataclass(eq=False, repr=False)
class ApiState:
    """The API's database and key. `lock` stands for the API's only worker.

    `clock` is the server's clock; the lifetimes and `login_cpu`, the processor time that checking
    a password takes, are in seconds. `users` are by e-mail; `refresh_tokens`, which are no JWTs,
    lead to a user's id and their end.
    """

    clock: Clock
    access_lifetime: int
    refresh_lifetime: int
    login_cpu: float
    signing_key: bytes = field(default_factory=partial(secrets.token_bytes, 32))
    users: dict[str, User] = field(default_factory=dict)
    rows: list[ServiceTokenRow] = field(default_factory=list)
    refresh_tokens: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    lock: RLock = field(default_factory=RLock)

    def sign(self, claims: dict[str, Any]) -> str:
        """Return a JWT with these claims, which are not checked."""
        return jwt.encode(claims, self.signing_key, algorithm="HS256")

    def read_claims(self, token: str) -> dict[str, Any] | None:
        """Return the claims of a JWT of this server; None if it is forged, broken or expired."""
        try:
            # PyJWT would check `exp` by the machine's clock; tests pass their own.
            claims = jwt.decode(
                token, self.signing_key, algorithms=["HS256"], options={"verify_exp": False}
            )
        except (jwt.PyJWTError, ValueError):
            return None
        expiry = claims.get("exp", float("inf"))
        if not isinstance(expiry, int | float) or expiry <= self.clock().timestamp():
            return None
        return dict(claims)

    def add_user(self, email: str, password: str, *, is_admin: bool) -> User:
        user = self.users[email] = User(str(uuid4()), email, password, is_admin)
        return user

    def password_matches(self, user: User, password: str) -> bool:
        """Compare passwords, as slowly as the real API's password hash."""
        until = time.thread_time() + self.login_cpu
        while time.thread_time() < until:
            hashlib.pbkdf2_hmac("sha256", b"", b"", 1000)
        return user.password == password

    def new_access_token(self, user_id: str, **claims: str | None) -> str:
        expiry = self.clock() + timedelta(seconds=self.access_lifetime)
        return self.sign({"sub": user_id, **claims, "exp": int(expiry.timestamp())})

    def mint(
        self, user_id: str, *, days: int | None, scope: str | None, eternal: bool
    ) -> ServiceTokenRow:
        """Make a service token. As in the real API, `days` is not checked."""
        now = self.clock()
        life = _ETERNITY if eternal else timedelta(days=days)  # type: ignore[arg-type] # the API crashes on null too
        # The real API takes a lifetime of zero for "eternal", so `days: 0` gets no `exp`.
        expires = None if eternal or not life else now + life
        return self.add_row(user_id, scope, created_at=now, expires_at=now + life, exp=expires)

    def add_row(
        self,
        user_id: str,
        scope: str | None,
        *,
        created_at: datetime,
        expires_at: datetime,
        exp: datetime | None,
    ) -> ServiceTokenRow:
        """Sign a service token and add it to the table; a JWT without `exp` is eternal."""
        token_id = str(uuid4())
        claims = {"sub": user_id, "type": "service", "scope": scope, "token_id": token_id}
        secret = self.sign(claims | ({"exp": int(exp.timestamp())} if exp else {}))
        row = ServiceTokenRow(token_id, user_id, scope, created_at, expires_at, secret)
        self.rows.append(row)
        return row

    def find_row(self, token_id: object) -> ServiceTokenRow | None:
        """Return the row with this id, unless it is revoked; it may be expired."""
        return next((row for row in self.rows if row.id == token_id and not row.revoked), None)

    def find_live_row(self, token: str) -> ServiceTokenRow | None:
        """Return the row of a service token that the exchange accepts, else None."""
        claims = self.read_claims(token)
        if claims is None or claims.get("type") != "service":
            return None
        row = self.find_row(claims.get("token_id"))
        return row if row and row.is_live(self.clock()) else None

    def newest_first(self) -> list[ServiceTokenRow]:
        """Return the rows that are not revoked; of two made at once, the later comes first."""
        rows = [row for row in reversed(self.rows) if not row.revoked]
        return sorted(rows, key=lambda row: row.created_at, reverse=True)

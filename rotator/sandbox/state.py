"""The server's signing key: makes JWTs, and tells whether one is its own and not over."""

import hashlib
import secrets
import time
from calendar import timegm
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import RLock
from typing import Any
from uuid import uuid4

import jwt

Clock = Callable[[], datetime]

_KEY_BYTES = 32


def utc_now() -> datetime:
    """Return the present as aware UTC."""
    return datetime.now(UTC)


def whole_seconds(moment: datetime) -> int:
    """Return an aware time as the API writes it into `exp`: whole seconds, rounded down."""
    return timegm(moment.utctimetuple())


class Signer:
    """Signs with HS256; `signed` collects every JWT it ever made."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(_KEY_BYTES)
        self.signed: set[str] = set()

    def rotate_key(self) -> None:
        """Change the key: every JWT signed until now is refused from here on."""
        self._key = secrets.token_bytes(_KEY_BYTES)

    def sign(self, claims: dict[str, Any]) -> str:
        """Return these claims as a JWT, whatever they say."""
        token = jwt.encode(claims, self._key, algorithm="HS256")
        self.signed.add(token)
        return token

    def read(self, token: str) -> dict[str, Any] | None:
        """Return the claims of a JWT of this server, None when it is forged, broken or over."""
        try:
            # PyJWT would look at the machine's clock, tests move ours.
            claims = jwt.decode(
                token, self._key, algorithms=["HS256"], options={"verify_exp": False}
            )
        except (jwt.PyJWTError, ValueError):
            return None
        expiry = claims.get("exp", float("inf"))
        if not isinstance(expiry, int | float) or expiry <= self._clock().timestamp():
            return None
        return dict(claims)


_ETERNITY = timedelta(days=36500)


@dataclass(slots=True)
class User:
    """An account; `password` is kept in the clear, for nothing here outlives the process."""

    id: str
    email: str
    password: str = field(repr=False)
    is_admin: bool


@dataclass(slots=True)
class ServiceTokenRow:
    """A row of the table of service tokens; times are aware UTC, `secret` is the JWT."""

    id: str
    user_id: str
    scope: str | None
    created_at: datetime
    expires_at: datetime
    secret: str = field(repr=False)
    last_used_at: datetime | None = None
    revoked: bool = False

    def is_live(self, now: datetime) -> bool:
        """Tell whether the exchange would find this row."""
        return not self.revoked and self.expires_at > now


class State:
    """Everything that the server remembers; `lock` stands for its one worker."""

    def __init__(
        self, clock: Clock, *, access_lifetime: int, refresh_lifetime: int, login_cpu: float
    ) -> None:
        self.clock = clock
        self.access_lifetime = access_lifetime
        self.signer = Signer(clock)
        self.users: dict[str, User] = {}
        self.rows: list[ServiceTokenRow] = []
        self.database_broken = False
        self.lock = RLock()
        self._refresh_lifetime = timedelta(seconds=refresh_lifetime)
        self._refresh_tokens: dict[str, tuple[str, datetime]] = {}
        self._retired_secrets: set[str] = set()
        self._login_cpu = login_cpu

    def add_user(self, email: str, password: str, *, is_admin: bool) -> User:
        """Open an account."""
        user = User(str(uuid4()), email, password, is_admin)
        self.users[email] = user
        return user

    def user_of(self, user_id: object) -> User | None:
        """Return the account with this id."""
        return next((user for user in self.users.values() if user.id == user_id), None)

    def password_matches(self, user: User, password: str) -> bool:
        """Compare passwords as slowly as the server's hash does."""
        until = time.thread_time() + self._login_cpu
        while time.thread_time() < until:
            hashlib.pbkdf2_hmac("sha256", b"", b"", 1000)
        return user.password == password

    def secrets(self) -> set[str]:
        """Return every secret that was ever issued or would ever have been accepted."""
        passwords = {user.password for user in self.users.values()}
        return passwords | self._retired_secrets | self.signer.signed | set(self._refresh_tokens)

    def access_token(self, user_id: str, **claims: str | None) -> str:
        """Return a new access token, valid for `access_lifetime` seconds."""
        expiry = self.clock() + timedelta(seconds=self.access_lifetime)
        return self.signer.sign({"sub": user_id, **claims, "exp": whole_seconds(expiry)})

    def refresh_token(self, user_id: str) -> str:
        """Return a new refresh token, which is no JWT and lives in the table only."""
        token = str(uuid4())
        self._refresh_tokens[token] = (user_id, self.clock() + self._refresh_lifetime)
        return token

    def holder_of_refresh_token(self, token: str) -> str | None:
        """Return the user id behind a refresh token, None when it is unknown or over."""
        user_id, expires_at = self._refresh_tokens.get(token, (None, self.clock()))
        return user_id if expires_at > self.clock() else None

    def forget_refresh_token(self, token: str) -> None:
        """Log out: the refresh token stops working, access tokens go on."""
        if self._refresh_tokens.pop(token, None):
            self._retired_secrets.add(token)

    def mint(
        self, user_id: str, *, days: int | None, scope: str | None, eternal: bool
    ) -> ServiceTokenRow:
        """Make a service token; nonsense in `days` is not caught, as on the server."""
        now = self.clock()
        life = _ETERNITY if eternal else timedelta(days=days)  # type: ignore[arg-type] # the API crashes on null too
        # A life of zero is the server's own sign for "eternal", so `days: 0` gets no `exp`.
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
        """Sign a service token and put it into the table; without `exp` the JWT is eternal."""
        token_id = str(uuid4())
        claims = {"sub": user_id, "type": "service", "scope": scope, "token_id": token_id}
        secret = self.signer.sign(claims | ({"exp": whole_seconds(exp)} if exp else {}))
        row = ServiceTokenRow(token_id, user_id, scope, created_at, expires_at, secret)
        self.rows.append(row)
        return row

    def row_of(self, token_id: object) -> ServiceTokenRow | None:
        """Return the row with this id unless it is revoked; it may have expired."""
        return next((row for row in self.rows if row.id == token_id and not row.revoked), None)

    def live_row_behind(self, token: str) -> ServiceTokenRow | None:
        """Return the row that an exchange of this JWT finds, None when it would be refused."""
        claims = self.signer.read(token)
        if claims is None or claims.get("type") != "service":
            return None
        row = self.row_of(claims.get("token_id"))
        return row if row and row.is_live(self.clock()) else None

    def newest_first(self) -> list[ServiceTokenRow]:
        """Return the rows that are not revoked; of two made at once, the later comes first."""
        rows = [row for row in reversed(self.rows) if not row.revoked]
        return sorted(rows, key=lambda row: row.created_at, reverse=True)

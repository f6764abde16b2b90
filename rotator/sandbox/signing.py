"""The server's signing key: makes JWTs, and tells whether one is its own and not over."""

import secrets
from calendar import timegm
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

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

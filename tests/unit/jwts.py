"""Service tokens whose claims say whatever a test wants; their signatures are worth nothing."""

import json
from base64 import urlsafe_b64encode
from datetime import timedelta

from rotator.tokens import ServiceToken
from tests.support.clock import NOON


def encoded(payload: str, header: str = '{"alg":"HS256","typ":"JWT"}') -> str:
    """Return a JWT around any text."""
    parts = (header, payload, "no signature")
    return ".".join(urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts)


def service_jwt(**claims: object) -> str:
    """Return a service token without `exp` unless one is given."""
    usual = {"sub": "u1", "type": "service", "scope": "calculations", "token_id": "t1"}
    return encoded(json.dumps(usual | claims))


def lasting(left: timedelta | None, name: str = "t1") -> str:
    """Return a token that has this much left at `NOON`, or is eternal; `name` is its id."""
    claims: dict[str, object] = {} if left is None else {"exp": (NOON + left).timestamp()}
    return service_jwt(token_id=name, **claims)


def token(left: timedelta | None, name: str = "t1") -> ServiceToken:
    """Return such a token, read; its expiry is exact to the microsecond."""
    expires_at = None if left is None else NOON + left
    return ServiceToken(lasting(left, name), name, "calculations", expires_at)

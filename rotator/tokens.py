"""The service token of a bot: what its text (a JWT) says, read without a key.

Signatures cannot be verified here: the API signs with HS256, whose key never leaves the server. So
the claims say what a token pretends to be; only an exchange at the API proves it.
Claims: `sub`, `type: "service"`, `scope`, `token_id` and, unless eternal, `exp`; there is no `iat`.
"""

import re
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, TypeGuard

from rotator.errors import MalformedTokenError

# RFC 7515, section 7.1
_COMPACT_JWS = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_LONGEST = 8192
_TOO_LATE = 2400  # a year that comes from a broken clock or a forger
ID_PATTERN = r"[A-Za-z0-9_-]{1,64}"
_ID = re.compile(ID_PATTERN)
# These are compiled where they are used: what is no token is rare, and `check` is to start fast.
_CIPHERTEXT = (
    r"(?i)encrypted:|enc(?:rypted)?[\[({:]|\{(?:cipher|enc|encrypted)\}|vault:v[0-9]+:"
    r"|\$ANSIBLE_VAULT;|!vault\b|-----BEGIN |gAAAAAB|U2FsdGVkX1|EJ\[[0-9]+:"
    r"|AQICAH|CiQA|eyJpdiI6|eyJ[\w-]+(?:\.[\w-]*){4}\Z"  # of AWS KMS, Google KMS, Laravel; JWE
)
_REFERENCE = (
    r"(?i)[a-z][a-z0-9+.-]*://|vault:|arn:aws|gcp:|azkv:|secretref[:+]|file:|@Microsoft\.KeyVault\("
    r"|env:|projects/[^/]+/secrets/|/(?:run|var|etc|mnt|srv|home|root|vault|secrets)/"
    r"|<path:|\{\{|\{%|<%|#\{|%[A-Z_]+%|%\{|@[A-Z_]+@"
)
_ENCODED = "ZXlK"  # base64 of how every token begins
# Only where a word begins: else the time grows with the square of a long value.
_COMPACT_JWS_WITHIN = r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+"
_EXPRESSION = r"\$\{[^}]*\}|\$\([^)]*\)"
LONGEST_VALIDITY = timedelta(days=365)  # the API's limit for a token that expires


def is_token_id(value: object) -> TypeGuard[str]:
    """Tell whether this can be the id of a token or a user, safe in a path and in a message."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


@dataclass(frozen=True, slots=True)
class ServiceToken:
    """A service token and what its claims say; `expires_at` is aware UTC, None when eternal."""

    secret: str = field(repr=False)
    token_id: str | None
    scope: str | None
    expires_at: datetime | None

    @classmethod
    def parse(cls, text: str) -> "ServiceToken":
        """Read the claims of `text`, which must be the bare token and nothing around it.

        Raises `MalformedTokenError` whose `reason` is one of `newline`, `quoted`, `spaces`,
        `garbage`, `access_token`, `wrong_type`, `bad_expiry`.
        """
        _refuse_wrapping(text)
        claims = _claims(text)
        kind = claims.get("type")
        if kind in (None, "access"):
            what = "this is an access token, not a service token"
            raise MalformedTokenError("access_token", what)
        if kind != "service":
            raise MalformedTokenError("wrong_type", "this JWT is not a service token")
        token_id, scope = claims.get("token_id"), claims.get("scope")
        return cls(
            secret=text,
            token_id=token_id if is_token_id(token_id) else None,
            scope=scope if isinstance(scope, str) else None,
            expires_at=_expiry(claims),
        )

    @property
    def fingerprint(self) -> str:
        """The first 12 hex digits of the token's SHA-256: a name that gives nothing away."""
        return sha256(self.secret.encode()).hexdigest()[:12]

    @property
    def name(self) -> str:
        """The token's id, or its fingerprint where the claims carry no usable id."""
        return self.token_id or f"sha256:{self.fingerprint}"

    def remaining(self, now: datetime) -> timedelta | None:
        """Return the exact life left: negative when over, None when eternal."""
        return None if self.expires_at is None else self.expires_at - now


def _refuse_wrapping(text: str) -> None:
    if not text:
        raise MalformedTokenError("garbage", "the value is empty")
    if "\n" in text or "\r" in text:
        raise MalformedTokenError("newline", "there is a line break in or around the token")
    if text[0] in "'\"`" or text[-1] in "'\"`":
        raise MalformedTokenError("quoted", "there are quotes around the token")
    if text != text.strip() or " " in text:
        raise MalformedTokenError("spaces", "there are spaces in or around the token")


def _claims(text: str) -> dict[str, Any]:
    import jwt  # noqa: PLC0415 - costs 40 ms, and an absent or wrapped token needs none of it

    if len(text) > _LONGEST or not _COMPACT_JWS.fullmatch(text):
        raise MalformedTokenError("garbage", "the value is not a JWT")
    try:
        # Only the claims are wanted: the clock is ours, and the key is the server's.
        return dict(jwt.decode(text, options={"verify_signature": False}))
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise MalformedTokenError("garbage", "the value is not a JWT") from None


def _expiry(claims: dict[str, Any]) -> datetime | None:
    if "exp" not in claims:
        return None
    seconds = claims["exp"]
    # RFC 7519, section 2: a JSON number. Python would also take `true`, for a second of 1970.
    if isinstance(seconds, int | float) and not isinstance(seconds, bool):
        with suppress(ValueError, OverflowError, OSError):
            moment = datetime.fromtimestamp(seconds, UTC)
            if moment.year < _TOO_LATE:
                return moment
    raise MalformedTokenError("bad_expiry", "the token's `exp` is not a time")


def is_live(token: ServiceToken, now: datetime) -> bool:
    """Tell whether a token has not expired."""
    left = token.remaining(now)
    return left is None or left > timedelta()


def is_ciphertext(text: str) -> bool:
    """Tell whether a text begins as what another program decrypts."""
    return re.match(_CIPHERTEXT, text) is not None


def is_reference(text: str) -> bool:
    """Tell whether a text begins as what another program replaces, by a secret say."""
    return re.match(_REFERENCE, text) is not None


def describe_foreign(text: str) -> str | None:
    """Say what a text is out of which others make a token, or a header say; None if it is not."""
    if is_ciphertext(text):
        return "encrypted"
    if is_reference(text) or re.fullmatch(_EXPRESSION, text):
        return "a reference"
    if text.startswith(_ENCODED):
        return "encoded with base64"
    # Blanks and quotes are a mistake, which is mended; anything else, such as Bearer, is meant.
    bare = text.strip(" \t\r\n'\"`")
    found = re.search(_COMPACT_JWS_WITHIN, bare)
    return "a token with more around it" if found and found[0] != bare else None

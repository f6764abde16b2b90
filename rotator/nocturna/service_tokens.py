"""Service tokens at the API: mint, list, exchange, revoke."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypeGuard

from rotator.audit import Event, trace
from rotator.errors import (
    ApiFaultError,
    ApiUnreachableError,
    NotFoundError,
    TokenRefusedError,
)
from rotator.nocturna.calls import EXCHANGE, LIST, MINT, REVOKE, VERIFY, outcome_unknown
from rotator.nocturna.client import ApiClient
from rotator.nocturna.session import AccessToken, AdminSession, RecentFailure, parse_access_token

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)?", re.ASCII)


class ListedToken(NamedTuple):
    """A token as the API lists it, revoked ones excepted; all times are aware UTC.

    `expires_at` differs by milliseconds from what a mint answers and from the token's `exp`; that
    of an eternal token is a hundred years after its creation. Only an exchange moves
    `last_used_at`, which is None before the first one.
    """

    token_id: str
    user_id: str
    scope: str | None
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None


def parse_list(body: object) -> list[ListedToken]:
    """Check and take over the answer of the list; raises `ApiFaultError` for any row's fault."""
    if not isinstance(body, list):
        raise ApiFaultError(f"{LIST.doing}: the API's answer is no list")
    try:
        return [_listed(row) for row in body]
    except ValueError as error:
        raise ApiFaultError(f"{LIST.doing}: the API's answer has a token with {error}") from None


def is_id(value: object) -> TypeGuard[str]:
    """Tell whether this can be the id of a token or a user, and stand in a path and a message."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _listed(row: object) -> ListedToken:
    if not isinstance(row, dict):
        raise ValueError("no fields")  # noqa: TRY004 - what is wrong is the answer, not a type
    token_id, user_id, scope = row.get("id"), row.get("user_id"), row.get("scope")
    if not is_id(token_id) or not is_id(user_id):
        raise ValueError("no usable id")
    if scope is not None and not isinstance(scope, str):
        raise ValueError("no usable scope")
    used = row.get("last_used_at")
    return ListedToken(
        token_id,
        user_id,
        scope,
        created_at=_time(row.get("created_at")),
        expires_at=_time(row.get("expires_at")),
        last_used_at=None if used is None else _time(used),
    )


def _time(text: object) -> datetime:
    """Read a time as the API writes it, in UTC; it names no time zone, a later one may."""
    if not isinstance(text, str) or not _TIME.fullmatch(text):
        raise ValueError("no usable date")
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ValueError("no usable date") from None


LONGEST_VALIDITY = timedelta(days=365)
ONE_DAY = timedelta(days=1)
PAUSE_AFTER_SILENCE = 10.0  # seconds
_VISIBLE_ASCII = re.compile(r"[!-~]+")  # what a header may carry


@dataclass(frozen=True, slots=True)
class MintedToken:
    """A token that the server says it made; its claims are not checked yet."""

    secret: str = field(repr=False)
    token_id: str


class ServiceTokens:
    """The admin's calls about service tokens, and the exchange that any service token may make."""

    def __init__(
        self, http: ApiClient, admin: AdminSession, monotonic: Callable[[], float]
    ) -> None:
        self._http = http
        self._admin = admin
        self._silence = RecentFailure(monotonic)

    @property
    def clock_skew(self) -> timedelta | None:
        """How far this machine's clock is ahead of the server's; None before the first answer."""
        return self._http.time.skew

    def now(self) -> datetime:
        """Return the server's present as aware UTC, to be compared with what it says of tokens.

        Its answers tell it to the second; before the first it is this machine's.
        """
        return self._http.time.now()

    def log_in(self) -> None:
        """Make sure that the admin's session is fresh, so that `now` is known, too.

        Raises `LoginRefusedError` when the API does not accept the admin.
        """
        self._admin.ensure()
        if self._http.time.is_doubtful:
            self._admin.send(VERIFY)

    def mint(self, validity: timedelta | None, scope: str) -> MintedToken:
        """Create a token that lives `validity` (whole days, 1 to 365), or for ever when None.

        The server would take other values and make a dead or an eternal token of them. Sent once:
        `MintOutcomeUnknownError` when the server may have made a token whose text never arrived.
        """
        wish: dict[str, object] = {"scope": scope, "eternal": validity is None}
        if validity is not None:
            if validity % ONE_DAY or not ONE_DAY <= validity <= LONGEST_VALIDITY:
                raise ValueError("validity is a whole number of days from 1 to 365")
            wish["days"] = validity.days
        with trace(Event.MINTED, "a token, at the API", scope=scope) as fields:
            minted = self._minted(wish)
            fields["token_id"] = minted.token_id
        return minted

    def _minted(self, wish: dict[str, object]) -> MintedToken:
        answer = self._admin.send(MINT, json=wish)
        body = answer.body if isinstance(answer.body, dict) else {}
        secret, token_id = body.get("service_token"), body.get("token_id")
        if not isinstance(secret, str) or not is_id(token_id):
            raise outcome_unknown(ApiFaultError(f"{MINT.doing}: the answer has no token"))
        return MintedToken(secret, token_id)

    def account(self) -> str:
        """Return the user id of the admin, by which the list tells whose a token is.

        This proves that a mint would be allowed, and changes nothing. Raises `LoginRefusedError`
        or `NotAdminError` when it would not.
        """
        body = self._admin.send(VERIFY).body
        user_id = body.get("user_id") if isinstance(body, dict) else None
        if not is_id(user_id):
            raise ApiFaultError(f"{VERIFY.doing}: the API does not say whose they are")
        return user_id

    def list_tokens(self) -> list[ListedToken]:
        """Return all tokens of all admins that are not revoked, expired ones included.

        Raises `ApiFaultError` for the whole list when a single row cannot be read.
        """
        return parse_list(self._admin.send(LIST).body)

    def exchange(self, service_token: str) -> AccessToken:
        """Get an access token for a service token: the one proof that the server accepts it.

        Raises `TokenRefusedError` when it does not.
        """
        if not _VISIBLE_ASCII.fullmatch(service_token):
            raise TokenRefusedError(f"{EXCHANGE.doing}: it is no token")
        return parse_access_token(EXCHANGE, self._http.send(EXCHANGE, bearer=service_token))

    def probe(self, service_token: str) -> None:
        """Ask whether the server accepts a token in use; raises `TokenRefusedError` if not.

        A server that does not answer one of a fleet is not asked for the others for a while.
        """
        self._silence.raise_again()
        try:
            self.exchange(service_token)
        except ApiUnreachableError as error:
            self._silence.remember(error, PAUSE_AFTER_SILENCE)
            raise

    def revoke(self, token_id: str) -> None:
        """Revoke a token; raises `NotFoundError` when it is unknown or revoked already.

        This stops exchanges only: as a direct bearer the token works until it expires.
        """
        body = self._admin.send(REVOKE, item=f"/{token_id}").body
        if not isinstance(body, dict) or body.get("success") is not True:
            raise ApiFaultError(f"{REVOKE.doing}: the API does not say that it did")

    def ensure_revoked(self, token_id: str, reason: str) -> bool:
        """Revoke a token; return False where the server does not list it any more.

        The audit trail tells the reason.

        Raises `NotFoundError` when it lists the token and yet does not find it: a proxy, say, may
        not know the path.
        """
        what = f"the token {token_id}, at the API"
        with trace(Event.REVOKED, what, token_id=token_id, reason=reason) as fields:
            try:
                self.revoke(token_id)
            except NotFoundError:
                if any(row.token_id == token_id for row in self.list_tokens()):
                    raise
                fields["outcome"] = "gone"
                return False
            return True

"""Service tokens at the API: mint, list, exchange, revoke."""

import re
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from rotator.audit import GONE, Event, trace
from rotator.clock import ONE_DAY, SLACK
from rotator.errors import (
    ApiError,
    ApiFaultError,
    ApiUnreachableError,
    NotFoundError,
    TokenRefusedError,
)
from rotator.http.items import NotAnArrayError
from rotator.nocturna.api import (
    EXCHANGE,
    LIST,
    MINT,
    PROVE_ADMIN,
    REVOKE,
    AccessToken,
    ApiClient,
    UnauthorizedError,
    is_bearer,
    outcome_unknown,
    parse_access_token,
)
from rotator.nocturna.session import PAUSE_AFTER_FAULT, AdminSession, RecentFailure
from rotator.tokens import LONGEST_VALIDITY, ServiceToken, is_token_id

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)?", re.ASCII)
PAUSE_AFTER_SILENCE = 10.0  # seconds, as are the others
RECENT = 1.0
SHARE = 10
_PER_ROW = 0.001
_SHARED = timedelta(minutes=1)  # for so long one list serves the tokens of a run


class ListedToken(NamedTuple):
    """A token as the API lists it, unless it is revoked; all times are aware UTC.

    `expires_at` differs by milliseconds from the answer of the mint and from the token's `exp`; for
    an eternal token it is a hundred years after its creation. Only an exchange moves
    `last_used_at`, which is None before the first one.
    """

    token_id: str
    user_id: str
    scope: str | None
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None


def _parse_row(row: object) -> ListedToken:
    if not isinstance(row, dict):
        raise ValueError("no fields")  # noqa: TRY004 - what is wrong is the answer, not a type
    token_id, user_id, scope = row.get("id"), row.get("user_id"), row.get("scope")
    if not is_token_id(token_id) or not is_token_id(user_id):
        raise ValueError("no usable id")
    if scope is not None and not isinstance(scope, str):
        raise ValueError("no usable scope")
    used = row.get("last_used_at")
    return ListedToken(
        token_id,
        sys.intern(user_id),  # of 80,000 rows most name the same
        scope and sys.intern(scope),
        created_at=_parse_time(row.get("created_at")),
        expires_at=_parse_time(row.get("expires_at")),
        last_used_at=None if used is None else _parse_time(used),
    )


def _parse_time(text: object) -> datetime:
    """Read a time of the API, which is UTC unless it names a zone (no version does yet)."""
    if not isinstance(text, str) or not _TIME.fullmatch(text):
        raise ValueError("no usable date")
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ValueError("no usable date") from None


class UsageList(NamedTuple):
    """The API's list as evidence of who uses which token: those that live, by their ids.

    It shows each use up to `taken_at` (the server's, aware UTC). `is_dated` tells whether it proves
    anything: whether it showed, with the right date, the use of a token just before. One that does
    not is out of a cache or of a database that lags behind, or a clock is wrong.
    """

    rows: Mapping[str, Sequence[ListedToken]]
    taken_at: datetime
    is_dated: bool


class KnownTokens(NamedTuple):
    """The ids of all tokens that the API listed; `young` are the new ones that nobody has used."""

    ids: frozenset[str] = frozenset()
    young: tuple[ListedToken, ...] = ()

    @classmethod
    def of(cls, rows: Sequence[ListedToken], young_since: datetime) -> "KnownTokens":
        young = (row for row in rows if not row.last_used_at and row.created_at >= young_since)
        return cls(frozenset(row.token_id for row in rows), tuple(young))


@dataclass(frozen=True, slots=True)
class MintedToken:
    """A token that the API says it minted; its claims are not checked yet."""

    secret: str = field(repr=False)
    token_id: str


class TokenApi:
    """The admin's calls about service tokens, and the exchange that any service token may make.

    Each raises the `ApiError` of its failure, as `ApiClient.send` does, and `LoginRefusedError`.
    `time` is the server's, to be compared with what it says of tokens. `name` is the API's, where
    there are several.
    """

    def __init__(
        self, http: ApiClient, admin: AdminSession, monotonic: Callable[[], float]
    ) -> None:
        self.time, self.name = http.time, http.name
        self._http = http
        self._admin = admin
        self._silence = RecentFailure(monotonic)
        self._monotonic = monotonic
        self._listing = threading.Lock()
        self._known = KnownTokens()
        self._stale_at = float("-inf")
        self._usage: UsageList | None = None
        self._usage_failure = RecentFailure(monotonic)
        self._usage_lock = threading.Lock()

    def log_in(self) -> None:
        """Make sure that the admin is logged in, and that `time` is the server's."""
        self._admin.ensure()
        if self.time.is_doubtful:
            self._admin.send(PROVE_ADMIN)

    def log_out(self) -> None:
        """End the admin's session, if there is one; the next call would log in again."""
        self._admin.log_out()

    def mint(
        self,
        validity: timedelta | None,
        scope: str,
        was_there: Callable[[str], bool] = lambda _: False,
    ) -> MintedToken:
        """Create a token that lives `validity` (whole days, 1 to 365), or for ever when None.

        The API would accept other values and make a dead or an eternal token of them. The call is
        sent again only after a 401 that the API's list does not contradict. Raises
        `MintOutcomeUnknownError` when a token may exist that did not arrive.
        `was_there` tells which tokens were there before.
        """
        wish: dict[str, object] = {"scope": scope, "eternal": validity is None}
        if validity is not None:
            if validity % ONE_DAY or not ONE_DAY <= validity <= LONGEST_VALIDITY:
                raise ValueError("validity is a whole number of days from 1 to 365")
            wish["days"] = validity.days
        with trace(Event.MINTED, "the API minted a token", scope=scope) as fields:
            try:
                body = self._send_mint(wish, scope, was_there)
            except UnauthorizedError:  # nothing was minted; asking for the list renewed the session
                body = self._send_mint(wish, scope, was_there)
            answer = body if isinstance(body, dict) else {}
            secret, token_id = answer.get("service_token"), answer.get("token_id")
            if not isinstance(secret, str) or not is_token_id(token_id):
                doing = self._http.doing(MINT)
                raise outcome_unknown(ApiFaultError(f"{doing}: the answer has no token"))
            fields["token_id"] = token_id
        return MintedToken(secret, token_id)

    def _send_mint(
        self, wish: dict[str, object], scope: str, was_there: Callable[[str], bool]
    ) -> Any:  # noqa: ANN401 - JSON that nobody has checked yet
        """Send a mint; raises `MintOutcomeUnknownError` also for a refusal that proves nothing.

        A proxy can refuse what the API has done: so the API's list has to show no token that may
        have come of it.
        """
        bearer, begun = self._admin.ensure().secret, self.time.now()
        try:
            return self._http.send(MINT, bearer=bearer, json=wish)
        except ApiError as error:
            if error.status is not None and self._may_have_minted(scope, begun, was_there):
                raise outcome_unknown(error) from None
            raise

    def _may_have_minted(
        self, scope: str, begun: datetime, was_there: Callable[[str], bool]
    ) -> bool:
        try:
            rows = self.list_tokens()
        except ApiError as error:
            return error.retryable  # who is refused this, too, is refused altogether
        return any(
            row.last_used_at is None
            and row.scope == scope
            and row.created_at >= begun - SLACK
            and not was_there(row.token_id)
            for row in rows
        )

    def account(self) -> str:
        """Return the admin's user id, which the list shows at each of their tokens.

        It changes nothing, and raises `NotAdminError` when a mint would not be allowed.
        """
        body = self._admin.send(PROVE_ADMIN)
        user_id = body.get("user_id") if isinstance(body, dict) else None
        if not is_token_id(user_id):
            doing = self._http.doing(PROVE_ADMIN)
            raise ApiFaultError(f"{doing}: the API does not name the admin's account")
        return user_id

    def list_tokens(self) -> list[ListedToken]:
        """Return all tokens of all admins that are not revoked, expired ones included.

        Raises `ApiFaultError` for the whole list when a single row cannot be read.
        """
        try:
            rows: list[ListedToken] = self._admin.send(LIST, each=_parse_row)
            return rows  # noqa: TRY300 - what is below is about failures
        except NotAnArrayError:
            fault = "is no list"
        except ValueError as error:
            fault = f"has a token with {error}"
        # Without the context, which holds on to the rows before: many such errors fill the memory.
        raise ApiFaultError(f"{self._http.doing(LIST)}: the API's answer {fault}")

    def known_tokens(self) -> KnownTokens:
        """Return the tokens that the API listed a moment ago, or at last if it does not tell now.

        What others mint after the list can be taken for ours, so each mint waits for a list whose
        request begins after it asked. A long list serves all mints of a fleet for a millisecond a
        row. A failure is kept for a moment.
        """
        asked = self._monotonic()
        with self._listing:
            if asked >= self._stale_at:
                begun = self._monotonic()
                try:
                    rows = self.list_tokens()
                    self._known = KnownTokens.of(rows, self.time.now() - 2 * SLACK)
                    lasts = _PER_ROW * len(rows)
                except ApiError:
                    lasts = max(RECENT, SHARE * (self._monotonic() - begun))
                self._stale_at = begun + lasts
            return self._known

    def usage(self, witness: ServiceToken, not_before: datetime) -> UsageList:
        """Return the list as evidence, which the tokens of a run share; it is a minute old at most.

        If it is older than `not_before` (the server's time, aware UTC), and that is past, a new one
        is fetched, after an exchange of `witness`, a token in use, by which its dates are checked.
        Raises also `TokenRefusedError` for the witness.
        """
        with self._usage_lock:
            now = self.time.now()
            oldest = max(now - _SHARED, not_before) if not_before <= now else now - _SHARED
            if self._usage and oldest <= self._usage.taken_at <= now:
                return self._usage
            self._usage_failure.raise_again()
            try:
                self._usage = self._fetch_usage(witness)
            except TokenRefusedError:
                raise
            except ApiError as error:
                self._usage_failure.remember(error, PAUSE_AFTER_FAULT)
                raise
            return self._usage

    def _fetch_usage(self, witness: ServiceToken) -> UsageList:
        self.log_in()
        begun = self._monotonic()
        self.exchange(witness.secret)
        listed = self.list_tokens()
        now = self.time.now()
        taken_at = now - timedelta(seconds=self._monotonic() - begun)
        rows: defaultdict[str, list[ListedToken]] = defaultdict(list)
        for row in listed:
            if row.expires_at > taken_at:  # the others may be many
                rows[row.token_id].append(row)
        used = [row.last_used_at for row in rows.get(witness.token_id or "", ())]
        is_dated = self.time.skew is not None and any(
            at is not None and taken_at - SLACK <= at <= now + SLACK for at in used
        )
        return UsageList(rows, taken_at, is_dated)

    def exchange(self, service_token: str) -> AccessToken:
        """Get an access token for a service token: the only proof that the API accepts it.

        Raises `TokenRefusedError` when it does not.
        """
        if not is_bearer(service_token):
            raise TokenRefusedError(f"{EXCHANGE.doing}: it is no token")
        body = self._http.send(EXCHANGE, bearer=service_token)
        return parse_access_token(self._http, EXCHANGE, body)

    def probe(self, service_token: str) -> None:
        """Ask whether the API accepts a token in use; raises `TokenRefusedError` if not.

        An API that does not answer for one token of a fleet is not asked again for a while.
        """
        self._silence.raise_again()
        try:
            self.exchange(service_token)
        except ApiUnreachableError as error:
            self._silence.remember(error, PAUSE_AFTER_SILENCE)
            raise

    def revoke(self, token_id: str) -> None:
        """Revoke a token; raises `NotFoundError` when it is unknown or already revoked.

        This stops exchanges only: as a direct bearer the token works until it expires.
        """
        body = self._admin.send(REVOKE, item=f"/{token_id}")
        if not isinstance(body, dict) or body.get("success") is not True:
            raise ApiFaultError(f"{self._http.doing(REVOKE)}: the API does not confirm it")

    def ensure_revoked(self, token_id: str, reason: str) -> bool:
        """Revoke a token; return False where the API no longer lists it.

        The audit trail shows the reason. Raises `NotFoundError` when the API lists the token and
        yet does not find it: a proxy, say, may not know the path.
        """
        message = f"the token {token_id} is revoked at the API"
        with trace(Event.REVOKED, message, token_id=token_id, reason=reason) as fields:
            try:
                self.revoke(token_id)
            except NotFoundError:
                if any(row.token_id == token_id for row in self.list_tokens()):
                    raise
                fields["outcome"] = GONE
                return False
            return True

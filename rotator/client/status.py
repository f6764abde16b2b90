"""How long a service token lives, by its own claims: for the log line at a bot's start."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from rotator.clock import Clock, utc_now
from rotator.rotation.policy import Inputs, Need, decide
from rotator.tokens import ServiceToken

RENEW_BEFORE = timedelta(days=7)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class TokenStatus:
    """What a service token says of itself; whether the API accepts it is another question.

    Attributes:
        token_id: the id in `rotator tokens list`; None if the token has none.
        expires_at: aware UTC; None for an eternal token, as are the next two.
        remaining: the time left, negative if the token has expired.
        days_left: the same in days.
        is_due: less than `renew_before` is left.
        message: all this in one line for a log, and what to do if the token is due.
    """

    token_id: str | None
    expires_at: datetime | None
    remaining: timedelta | None
    days_left: float | None
    is_due: bool
    message: str


def token_status(
    service_token: str, renew_before: timedelta = RENEW_BEFORE, clock: Clock = utc_now
) -> TokenStatus:
    """Read a service token's claims, without a call to the API.

    Args:
        service_token: the token itself. It may be expired.
        renew_before: the remaining time below which the token counts as due.
        clock: returns the present as aware UTC.

    Raises:
        MalformedTokenError: the text is no service token.
    """
    return status_of(ServiceToken.parse(service_token), renew_before, clock())


def status_of(token: ServiceToken, renew_before: timedelta, now: datetime) -> TokenStatus:
    """Return the status of a parsed token."""
    verdict = decide(Inputs(now=now, renew_before=renew_before, token=token))
    remaining = token.remaining(now)
    is_due = verdict.need is Need.MINT
    what_to_do = "; renew it: rotator rotate" if is_due else ""
    return TokenStatus(
        token_id=token.token_id,
        expires_at=token.expires_at,
        remaining=remaining,
        days_left=None if remaining is None else remaining / _DAY,
        is_due=is_due,
        message=f"service token {token.name}: {verdict.message}{what_to_do}",
    )

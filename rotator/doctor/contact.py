"""What the API says when it is spoken to: whether it answers, lets us in, and what time it is."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from rotator.clock import Clock
from rotator.errors import ApiError, ApiUnreachableError, RotatorError
from rotator.nocturna.calls import Call
from rotator.nocturna.client import Http
from rotator.nocturna.service_tokens import Listed
from rotator.wiring import OpenApi

# The one call that asks for no login and changes nothing.
HEALTH = Call("reach the API", "GET", "/health")


class Contact(NamedTuple):
    """How far we got with the API at `url`, None where none is configured.

    `silence` is why it did not answer, `refusal` why we may not manage its tokens; `account` is the
    admin's user id. `skew` is how far this machine's clock is ahead, None where no answer told it.
    """

    url: str | None
    silence: str | None = None
    refusal: str | None = None
    account: str | None = None
    skew: timedelta | None = None

    @property
    def answers(self) -> bool:
        """Whether the API can be asked anything."""
        return self.url is not None and self.silence is None

    def server_time(self, now: datetime) -> datetime:
        """Return the server's present as far as it is known."""
        return now - (self.skew or timedelta())


class Listing(NamedTuple):
    """The API's list of service tokens at `now`, the server's time, or why it could not be had."""

    now: datetime
    rows: tuple[Listed, ...] = ()
    trouble: str | None = None


def reach(url: str | None, api: OpenApi, clock: Clock, *, may_log_in: bool) -> Contact:
    """Speak to the API, and log in where the settings allow it."""
    if url is None:
        return Contact(None)
    http = Http(url, clock)
    try:
        http.send(HEALTH)
    except ApiUnreachableError as error:
        return Contact(url, silence=str(error))
    except ApiError:
        pass  # it answered, if not as it should: a proxy may hide this call, and serve the others
    met = Contact(url, skew=http.time.skew)
    if not may_log_in:
        return met
    try:
        api().log_in()
        account = api().account()
    except RotatorError as error:
        return met._replace(refusal=str(error))
    return met._replace(account=account, skew=api().clock_skew)


def ask_list(api: OpenApi) -> Listing:
    """Get the list of service tokens."""
    try:
        rows = api().list_tokens()
    except RotatorError as error:
        return Listing(api().now(), trouble=str(error))
    return Listing(api().now(), tuple(rows))

"""A client for the calls of one API, and the server's time that its answers tell."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from rotator.clock import Clock
from rotator.errors import ApiError
from rotator.http.client import BoundedSession, Limits, explain_failure, read_json
from rotator.nocturna.calls import (
    Call,
    NotDoneError,
    error_of_failure,
    error_of_status,
    outcome_unknown,
)

_YEARS = range(2000, 2400)  # other dates come from a broken server
_STEADY = 1.0  # seconds by which two clocks may drift apart between two answers
_USUAL = Limits()
_BUSY = frozenset({429, 500, 502, 503, 504})


class ServerTime:
    """Remembers how far this machine's clock is off; `monotonic` counts seconds."""

    def __init__(self, clock: Clock, monotonic: Callable[[], float]) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._drift = 0.0
        self.skew: timedelta | None = None

    def note(self, date: str | None) -> None:
        """Adopt a `Date` header, which is exact to the second; ignore a missing or wrong one."""
        try:
            moment, here = parsedate_to_datetime(date or ""), self._clock()
            skew = here - moment
        except (TypeError, ValueError, OverflowError):
            return
        if moment.year in _YEARS:
            self.skew, self._drift = skew, here.timestamp() - self._monotonic()

    def now(self) -> datetime:
        """Return the server's present as aware UTC, exact to the second.

        Before the first date it is this machine's.
        """
        return self._clock() - (self.skew or timedelta())

    @property
    def is_doubtful(self) -> bool:
        """Whether this machine's clock was set, or the machine slept, since the last date."""
        apart = self._clock().timestamp() - self._monotonic()
        return self.skew is not None and abs(apart - self._drift) > _STEADY


class ApiClient:
    """Sends calls to one API; safe to share between threads."""

    def __init__(
        self,
        base_url: str,
        clock: Clock,
        limits: Limits = _USUAL,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._base_url = base_url
        self._place = urlsplit(base_url).netloc.rpartition("@")[2]
        self._limits = limits
        self._session = BoundedSession(
            limits, retried_methods=("GET", "DELETE", "POST"), retried_statuses=_BUSY
        )
        self.time = ServerTime(clock, monotonic)

    def send(  # noqa: PLR0913 - the parts of an HTTP request, by name
        self,
        call: Call,
        *,
        item: str = "",
        bearer: str | None = None,
        form: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - JSON that nobody has checked yet
        """Send one call, with `item` appended to its path; return the JSON of a 200 answer.

        Raises `ApiUnreachableError`, `ApiFaultError`, or the `ApiError` that fits the status. For a
        call that is not repeatable and that the API may have done, raises
        `MintOutcomeUnknownError`.
        """
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        request = {"headers": headers, "data": form, "params": query, "json": json}
        try:
            return self._exchange(call, self._base_url + call.path + item, request)
        except ApiError as error:
            if call.repeatable or not error.retryable or isinstance(error, NotDoneError):
                raise
            raise outcome_unknown(error) from None

    def _exchange(self, call: Call, url: str, request: dict[str, Any]) -> Any:  # noqa: ANN401
        try:
            with (
                self._connect(call) as session,
                session.request(call.method, url, stream=True, **request) as response,
            ):
                self.time.note(response.headers.get("Date"))
                if response.status_code != 200:  # noqa: PLR2004 - the API's only success
                    raise error_of_status(call, response.status_code)
                return read_json(response, call.largest)
        except OSError as error:
            failure = explain_failure(error)
        # Raised here, without a context: the text of an `OSError` can hold the URL, and with it a
        # token; `from None` would only hide it.
        raise error_of_failure(call, failure, self._place)

    @contextmanager
    def _connect(self, call: Call) -> Iterator[BoundedSession]:
        if call.repeatable:
            yield self._session
            return
        # The server may drop a used connection at the very moment of the next request; nobody could
        # then tell whether it did the call. So this one gets a new connection, and no retry.
        with BoundedSession(self._limits, retried_methods=()) as session:
            yield session

"""A client for the calls of one API: its answers, its failures, and the server's time.

Paths are relative to the base URL, which ends in `/api`. A message says what was tried, what
happened and what to do. It repeats nothing of a body: a 422 echoes the password, and a 500 can hold
a complete service token.
"""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, NamedTuple, TypeGuard
from urllib.parse import urlsplit

from requests import Response

from rotator.clock import Clock
from rotator.errors import (
    ApiError,
    ApiFaultError,
    ApiUnreachableError,
    LoginRefusedError,
    MintOutcomeUnknownError,
    NotAdminError,
    NotFoundError,
    TokenRefusedError,
)
from rotator.http.client import BoundedSession, Limits, read_json
from rotator.http.failures import (
    CertificateFault,
    Failure,
    FailureKind,
    advise_on_certificate,
    explain_failure,
)
from rotator.http.items import read_json_items
from rotator.http.throttle import API_CONNECTIONS, Throttle

_YEARS = range(2000, 2400)  # other dates come from a broken server
_STEADY = 1.0  # seconds by which two clocks may drift apart between two answers
_USUAL = Limits()
_REFUSALS = frozenset({401, 403, 404, 422})
_BUSY = frozenset({429, 500, 502, 503, 504})
_VISIBLE_ASCII = re.compile(r"[!-~]+")
DEFAULT_LIFETIME = 900.0
LONGEST_LIFETIME = 366 * 86400.0


class Call(NamedTuple):
    """One call; `doing` names it in messages, `largest` caps its answer (bytes).

    A `repeatable` call does no harm when it is sent twice, so it is retried.
    """

    doing: str
    method: str
    path: str
    repeatable: bool = True
    largest: int = 64 << 10


# The one call that needs no login and changes nothing.
HEALTH = Call("reach the API", "GET", "/health")
LOGIN = Call("log in", "POST", "/auth/login")
REFRESH = Call("refresh the admin session", "POST", "/auth/refresh")
# Sent once: nothing depends on it, and a run must not wait for it.
LOGOUT = Call("log out", "POST", "/auth/logout", repeatable=False)
EXCHANGE = Call("exchange the service token", "POST", "/auth/service-token/refresh")
MINT = Call("mint a service token", "POST", "/auth/admin/service-tokens", repeatable=False)
LIST = Call(
    "list the service tokens",
    "GET",
    "/auth/admin/service-tokens",
    # It has no pages. A row takes 300 bytes, and rows of expired tokens stay: these are 28,000.
    largest=8 << 20,
)
PROVE_ADMIN = Call("prove the admin's rights", "GET", "/auth/admin/verify")
REVOKE = Call("revoke the service token", "DELETE", "/auth/admin/service-tokens")


class UnauthorizedError(ApiError):
    """The API does not accept a bearer (401): it has expired, or is revoked, or of another API."""


class NotDoneError(ApiUnreachableError):
    """The API cannot have done the call: it was not reached, or told us to wait."""


def error_of_status(call: Call, status: int, url: str, *, is_own: bool = True) -> ApiError:
    """Return the error for an answer; `is_own` tells whether it is the API's own.

    `url` is the API's, as configured.
    """
    if is_own:
        of_call = _BY_CALL.get((call, status))
    else:
        of_call = _NOT_OWN_401 if (call, status) in _PROOFS and status == _NO_LOGIN else None
    kind, text = of_call or _BY_STATUS.get(status) or _explain(status)
    error = kind(f"{call.doing}: {text.format(status=status, url=url)}")
    error.status = status
    return error


def error_of_stranger(call: Call, status: int, challenge: str, url: str) -> ApiError | None:
    """Return the error for an answer that shows by its kind that the API did not give it.

    `challenge` is its `WWW-Authenticate`: the API's own names Bearer.
    """
    if status == HTTPStatus.UNAUTHORIZED and challenge and not _BEARER.search(challenge):
        text = (
            "a proxy in front of the API wants a login of its own (401); let whoever runs it admit"
            " the rotator, or use a URL behind it"
        )
    elif status == HTTPStatus.BAD_REQUEST and url.startswith("http:"):
        text = f"the API answered 400 to plain HTTP; {_IS_IT_TLS}"
    else:
        return None
    return ApiError(f"{call.doing}: {text}")


_BEARER = re.compile(r"(?i)(?:^|,)\s*bearer\b")
_IS_IT_TLS = "if it speaks TLS, begin its URL with https://"
_Meaning = tuple[type[ApiError], str]
_NO_ADMIN = (NotAdminError, "the account is not an admin (403); use an admin's e-mail")
_BY_CALL: dict[tuple[Call, int], _Meaning] = {
    (LOGIN, 401): (
        LoginRefusedError,
        (
            "the API refuses this e-mail and password (401); check both – the e-mail's upper and"
            " lower case count"
        ),
    ),
    (EXCHANGE, 401): (TokenRefusedError, "the API does not accept it (401)"),
    (REVOKE, 404): (NotFoundError, "there is no such token (404)"),
    **{(call, 403): _NO_ADMIN for call in (LIST, MINT, REVOKE, PROVE_ADMIN)},
}
_NO_LOGIN = HTTPStatus.UNAUTHORIZED
# What these say of a token or an account is acted upon: so it has to come from the API itself.
_PROOFS = frozenset(each for each in _BY_CALL if each != (REVOKE, 404))
_NOT_OWN_401: _Meaning = (
    ApiError,
    (
        "what answers 401 is not the API, by its form; ask who runs the proxy in front of it, or"
        " check the API's URL: {url}"
    ),
)
_NOT_THE_API = "the server answered {status}, which the API never does; check the API's URL: {url}"
_BY_STATUS: dict[int, _Meaning] = {
    401: (UnauthorizedError, "the API does not accept the admin session (401)"),
    403: (
        ApiError,
        (
            "the API, or a proxy in front of it, forbids it (403); ask whoever runs the API: is the"
            " account locked, or this machine not allowed?"
        ),
    ),
    404: (ApiError, "no such address (404); check the API's URL, which ends in /api: {url}"),
    407: (ApiError, "the proxy wants a login (407); check the user and password in HTTP_PROXY"),
    413: (
        ApiError,
        (
            "a proxy in front of the API refuses the request as too large (413); let whoever runs"
            " it raise its limit: the rotator's requests are below 16 KiB"
        ),
    ),
    422: (ApiError, "the API rejects the request (422); is a value empty or wrong?"),
    429: (NotDoneError, "the API has too much to do (429); try again later"),
    501: (ApiFaultError, _NOT_THE_API),
}


def _explain(status: int) -> _Meaning:
    match status // 100:  # RFC 9110, section 15
        case 2:
            return ApiFaultError, "the API answered {status} instead of 200"
        case 3:
            return ApiError, (
                "the API redirects ({status}), which is never followed with credentials; use its"
                " final URL (https, no slash at the end)"
            )
        case 1 | 4:
            return ApiError, _NOT_THE_API
        case _:  # proxies have statuses of their own above 599
            return ApiFaultError, "the API is not able to answer now ({status}); try again later"


def error_of_failure(call: Call, failure: Failure, place: str, url: str = "") -> ApiError:
    """Return the error for an exchange that failed; `place` is the API's host and port."""
    kind: type[ApiError] = ApiUnreachableError
    if failure.kind in (FailureKind.TOO_LARGE, FailureKind.NOT_JSON):
        kind = ApiFaultError
    elif failure.never_sent:
        kind = NotDoneError
    text = _FAILURES[failure.kind]
    if failure.certificate in _CERTIFICATES:
        remedy = advise_on_certificate(failure.certificate)
        text = f"the API's TLS certificate {_CERTIFICATES[failure.certificate]}; {remedy}"
    text = text.format(place=place, largest=call.largest, detail=failure.detail)
    if failure.kind is FailureKind.BROKEN and url.startswith("http:"):
        text += f"; {_IS_IT_TLS}"
    return kind(f"{call.doing}: {text}")


_TLS = "the TLS connection to the API failed; check its port, and what REQUESTS_CA_BUNDLE names"
_FAILURES = {
    FailureKind.CERTIFICATE: (
        "the API's TLS certificate is not trusted; for a private CA set REQUESTS_CA_BUNDLE"
    ),
    FailureKind.WANTS_TLS: "the API speaks TLS at {place}; begin its URL with https://",
    FailureKind.NO_TLS: _TLS,
    FailureKind.TLS: _TLS,
    FailureKind.FILE: (
        "the file that REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names cannot be used ({detail})"
    ),
    FailureKind.BAD_PROXY: "the proxy cannot be used: {detail}; correct it, or set NO_PROXY",
    FailureKind.PROXY: "the proxy did not connect; check HTTPS_PROXY and NO_PROXY",
    FailureKind.UNKNOWN_HOST: "the API's host name is not known: {place}; check its URL",
    FailureKind.REFUSED: "nothing listens at the API's address, {place}; check its URL",
    FailureKind.TIMEOUT: "the API did not answer in time; try again later",
    FailureKind.TOO_LARGE: "the API's answer is longer than {largest} B",
    FailureKind.NOT_JSON: "the API's answer is not JSON; is the API at {place}? check its URL",
    FailureKind.BROKEN: "the connection to the API broke; try again later",
}


_CERTIFICATES: dict[CertificateFault | None, str] = {
    CertificateFault.EXPIRED: "has expired",
    CertificateFault.NOT_YET_VALID: "is not valid yet",
    CertificateFault.OTHER_HOST: "is made for another host than {place}",
}


def outcome_unknown(error: ApiError) -> MintOutcomeUnknownError:
    """Return the error for a mint that the API may have done although no token arrived."""
    return MintOutcomeUnknownError(f"{error}; a token may have been made all the same")


class ServerTime:
    """Remembers how far this machine's clock is off; `monotonic` counts seconds."""

    def __init__(self, clock: Clock, monotonic: Callable[[], float]) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._drift = 0.0
        self.skew: timedelta | None = None
        self.is_told = False  # whether a warning of this run has named the skew

    def adopt(self, date: str | None) -> None:
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
    """Sends calls to one API; safe to share between threads.

    A call waits for its turn by the `throttle`. With one call at a time, an API with one worker has
    time for the bots between any two of ours. Its errors begin with the
    `name`, if there is one.
    """

    def __init__(  # noqa: PLR0913 - what tests set, by name
        self,
        base_url: str,
        clock: Clock,
        limits: Limits = _USUAL,
        monotonic: Callable[[], float] = time.monotonic,
        *,
        throttle: Throttle | None = None,
        name: str = "",
    ) -> None:
        self.name = name
        self._begin = f"{name}: " if name else ""
        self._base_url = base_url
        self._place = urlsplit(base_url).netloc.rpartition("@")[2]
        self._session = BoundedSession(
            limits,
            retried_methods=("GET", "DELETE", "POST"),
            retried_statuses=_BUSY,
            throttle=throttle or Throttle(API_CONNECTIONS),
        )
        self._once = self._session.once()
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
        each: Callable[[Any], object] | None = None,
    ) -> Any:  # noqa: ANN401 - JSON that nobody has checked yet
        """Send one call, with `item` appended to its path; return the JSON of a 200 answer.

        With `each`, the answer has to be an array: return a list of what that makes of its items;
        raises what it raises, and `NotAnArrayError`.

        Raises `ApiUnreachableError`, `ApiFaultError`, or the `ApiError` that fits the status. For a
        call that is not repeatable, raises `MintOutcomeUnknownError` unless the API proves that it
        did nothing.
        """
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        request = {"headers": headers, "data": form, "params": query, "json": json}
        try:
            return self._send_once(call, self._base_url + call.path + item, request, each)
        except ApiError as error:
            error.args = (f"{self._begin}{error}",)
            is_known = isinstance(error, NotDoneError | MintOutcomeUnknownError)
            if call.repeatable or not error.retryable or is_known:
                raise
            raise outcome_unknown(error) from None

    def doing(self, call: Call) -> str:
        """Name a call for a message, and this API where there are several."""
        return f"{self._begin}{call.doing}"

    def _send_once(
        self,
        call: Call,
        url: str,
        request: dict[str, Any],
        each: Callable[[Any], object] | None,
    ) -> Any:  # noqa: ANN401
        session = self._session if call.repeatable else self._once
        try:
            with session.request(call.method, url, stream=True, **request) as response:
                self.time.adopt(response.headers.get("Date"))
                if response.status_code != 200:  # noqa: PLR2004 - the API's only success
                    status = response.status_code
                    challenge = response.headers.get("WWW-Authenticate", "")
                    is_proof = not call.repeatable or (call, status) in _PROOFS
                    is_own = not is_proof or _is_refusal(response, call.largest)
                    stranger = error_of_stranger(call, status, challenge, self._base_url)
                    error = stranger or error_of_status(call, status, self._base_url, is_own=is_own)
                    raise error if is_own or call.repeatable else outcome_unknown(error)
                if each:
                    return read_json_items(response, call.largest, each)
                return read_json(response, call.largest)
        except OSError as error:
            failure = explain_failure(error)
        # Raised here, without a context: the text of an `OSError` can hold the URL, and with it a
        # token; `from None` would only hide it.
        raise error_of_failure(call, failure, self._place, self._base_url)


def _is_refusal(response: Response, largest: int) -> bool:
    """Tell whether the API itself refuses a call, which proves that nothing was done.

    Anybody in front of the API may answer anything after it did its work; only these answers are
    the API's own, by status and form.
    """
    media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if response.status_code not in _REFUSALS or media_type != "application/json":
        return False
    try:
        body = read_json(response, largest)
    except OSError:
        return False
    kind = list if response.status_code == HTTPStatus.UNPROCESSABLE_ENTITY else str
    return isinstance(body, dict) and isinstance(body.get("detail"), kind)


def is_bearer(value: object) -> TypeGuard[str]:
    """Tell whether a header and a query can carry this as a token."""
    return isinstance(value, str) and _VISIBLE_ASCII.fullmatch(value) is not None


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A short-lived bearer; `lifetime` is in seconds, from the moment of the answer."""

    secret: str = field(repr=False)
    lifetime: float
    refresh_token: str | None = field(repr=False)


def log_in(http: ApiClient, email: str, password: str) -> AccessToken:
    """Log a user in; raises `LoginRefusedError` for a wrong e-mail or password."""
    try:
        body = http.send(LOGIN, form={"username": email, "password": password})
    except LoginRefusedError as error:
        given = {"e-mail": email, "password": password}
        padded = [name for name, value in given.items() if value != value.strip()]
        hidden = [name for name, value in given.items() if not value.isprintable()]
        if padded:
            blanks = " and the ".join(padded)
            raise LoginRefusedError(f"{error}; the {blanks} begins or ends with a blank") from None
        if hidden:
            found = " and the ".join(hidden)
            text = f"{error}; the {found} holds characters that nobody sees"
            raise LoginRefusedError(text) from None
        raise
    return parse_access_token(http, LOGIN, body)


def refresh(http: ApiClient, refresh_token: str | None, call: Call = REFRESH) -> AccessToken | None:
    """Return a new access token; None where only a new login helps."""
    if not refresh_token:
        return None
    try:
        body = http.send(call, query={"refresh_token": refresh_token})
    except ApiError as error:
        if error.retryable:
            raise
        return None
    return parse_access_token(http, call, body)


def parse_access_token(http: ApiClient, call: Call, body: object) -> AccessToken:
    """Check the answer of a login, a refresh or an exchange; raises `ApiFaultError`."""
    fields = body if isinstance(body, dict) else {}
    secret, refresh_token = fields.get("access_token"), fields.get("refresh_token")
    if not is_bearer(secret):
        raise ApiFaultError(f"{http.doing(call)}: the API's answer has no access token")
    seconds = fields.get("expires_in")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        seconds = DEFAULT_LIFETIME
    lifetime = float(seconds) if 0 < seconds <= LONGEST_LIFETIME else DEFAULT_LIFETIME
    return AccessToken(secret, lifetime, refresh_token if is_bearer(refresh_token) else None)

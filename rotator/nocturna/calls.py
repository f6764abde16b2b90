"""The calls of the auth API as data, and their failures in one line each.

Paths are relative to the base URL, which ends in `/api`. A failure says what was tried, what
happened, what to do.

Nothing of the answer's body is ever repeated: a 422 echoes the password, and the text of a 500 has
been seen to hold a complete service token.
"""

import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import requests
import urllib3

from rotator.errors import (
    ApiError,
    ApiFaultError,
    ApiUnreachableError,
    LoginRefusedError,
    MintOutcomeUnknownError,
    NotAdminError,
    NotFoundError,
    RotatorError,
    TokenRefusedError,
)

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class Call:
    """One call; `doing` is how messages name it, `largest` caps its answer (bytes).

    `repeatable` says that sending it twice does no harm, so that a retry is allowed.
    """

    doing: str
    method: str
    path: str
    repeatable: bool = True
    largest: int = 64 * KIB


LOGIN = Call("log in", "POST", "/auth/login")
REFRESH = Call("refresh the admin session", "POST", "/auth/refresh")
EXCHANGE = Call("exchange the service token", "POST", "/auth/service-token/refresh")
MINT = Call("mint a service token", "POST", "/auth/admin/service-tokens", repeatable=False)
LIST = Call(
    "list the service tokens",
    "GET",
    "/auth/admin/service-tokens",
    largest=16 * MIB,  # it has no pages, and a row of a fleet takes 300 bytes
)
VERIFY = Call("prove the admin's rights", "GET", "/auth/admin/verify")
REVOKE = Call("revoke the service token", "DELETE", "/auth/admin/service-tokens")


UNAUTHORIZED = 401
_BY_ADMIN = (LIST, MINT, REVOKE, VERIFY)


class UnauthorizedError(ApiError):
    """A bearer was not accepted (401): it is over, revoked, or of another server."""


class NotDoneError(ApiUnreachableError):
    """The server cannot have done the call: it was not reached, or answered that we must wait."""


def error_of_status(call: Call, status: int) -> ApiError:
    """Return the error that an answer other than 200 stands for."""
    kind, text = _meaning(call, status)
    return kind(f"{call.doing}: {text}")


def _meaning(  # noqa: C901, PLR0911, PLR0912 - a table: a line per status
    call: Call, status: int
) -> tuple[type[ApiError], str]:
    match status:
        case 401 if call is LOGIN:
            return LoginRefusedError, (
                "the API refuses this e-mail and password (401); check both – the e-mail's upper"
                " and lower case count"
            )
        case 401 if call is EXCHANGE:
            return TokenRefusedError, "the API does not accept it (401)"
        case 401:
            return UnauthorizedError, "the API does not accept the admin session (401)"
        case 403 if call not in _BY_ADMIN:
            return ApiError, (
                "the API, or a proxy in front of it, forbids it (403); ask whoever runs the API: is"
                " the account locked, or this machine not allowed?"
            )
        case 403:
            return NotAdminError, "the account is not an admin (403); use an admin's e-mail"
        case 404 if call is REVOKE:
            return NotFoundError, "there is no such token (404)"
        case 404:
            return (
                ApiError,
                "no such address (404); is `/api` missing at the end of the API's URL?",
            )
        case 422:
            return ApiError, "the API does not take the request (422); is a value empty or wrong?"
        case _ if 300 <= status < 400:  # noqa: PLR2004 - RFC 9110, section 15.4
            return ApiError, (
                f"the API redirects ({status}), which is never followed with credentials; use its"
                " final URL (https, no slash at the end)"
            )
        case 429:
            return NotDoneError, "the API has too much to do (429); try again later"
        case _ if status >= 500:  # noqa: PLR2004 - RFC 9110, section 15.6; proxies have their own
            return ApiFaultError, f"the API is not able to answer now ({status}); try again later"
        case _ if 200 <= status < 300:  # noqa: PLR2004 - RFC 9110, section 15.3
            return ApiFaultError, f"the API answered {status} instead of 200"
        case _:
            return ApiError, f"the API answered {status}, which it never should"


def error_of_connection(call: Call, error: Exception, place: str) -> ApiUnreachableError:
    """Return the error that a failed connection to that host and port stands for."""
    causes = list(_causes(error))
    kind = ApiUnreachableError
    if any(isinstance(cause, _NEVER_SENT) for cause in causes):
        kind = NotDoneError
    return kind(f"{call.doing}: {_what_broke(causes).format(place=place)}")


def outcome_unknown(error: ApiError) -> MintOutcomeUnknownError:
    """Return the error for a mint that the server may have done, though no token arrived."""
    return MintOutcomeUnknownError(f"{error}; a token may have been made all the same")


_NEVER_SENT = (
    requests.exceptions.ConnectTimeout,
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidURL,
    requests.exceptions.ProxyError,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.NewConnectionError,
    ssl.SSLCertVerificationError,
)


def _what_broke(causes: list[BaseException]) -> str:
    for kind, text in _BROKEN:
        if any(isinstance(cause, kind) for cause in causes):
            return text
    return "the connection to the API broke; try again later"


_BROKEN: tuple[tuple[type[BaseException], str], ...] = (
    (
        ssl.SSLCertVerificationError,
        "the API's TLS certificate is not trusted; for a private CA set REQUESTS_CA_BUNDLE",
    ),
    (
        ssl.SSLError,
        "the TLS connection to the API failed; check its port, and what REQUESTS_CA_BUNDLE names",
    ),
    (requests.exceptions.ProxyError, "the proxy did not connect; check HTTPS_PROXY and NO_PROXY"),
    (
        urllib3.exceptions.NameResolutionError,
        "the API's host name is not known: {place}; check its URL",
    ),
    (socket.gaierror, "the API's host name is not known: {place}; check its URL"),
    (ConnectionRefusedError, "nothing listens at the API's address, {place}; check its URL"),
    (requests.exceptions.Timeout, "the API did not answer in time; try again later"),
    (urllib3.exceptions.TimeoutError, "the API did not answer in time; try again later"),
)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Walk through everything that an exception wraps: requests and urllib3 nest theirs."""
    seen: set[int] = set()
    queue: list[object] = [error]
    while queue:
        cause = queue.pop()
        if not isinstance(cause, BaseException) or id(cause) in seen:
            continue
        if isinstance(cause, RotatorError):
            continue  # the trouble of an earlier call, in whose handling this one was made
        seen.add(id(cause))
        yield cause
        queue += [*cause.args, cause.__cause__, cause.__context__, getattr(cause, "reason", None)]

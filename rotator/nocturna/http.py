"""HTTP to the API: one session, bounded in time, size and repetition, without redirects."""

import json as codec
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from rotator.errors import ApiError, ApiFaultError
from rotator.nocturna.calls import EXCHANGE, LOGIN, REFRESH, Call
from rotator.nocturna.faults import NotDoneError, outcome_unknown, refusal, unreachable
from rotator.times import Clock

CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 15.0
RETRIES = 2
LONGEST_PAUSE = 15
_BUSY = frozenset({429, 500, 502, 503, 504})
_CONNECTIONS = 32


@dataclass(frozen=True, slots=True)
class Answer:
    """A 200 answer; its body is JSON that nobody has checked yet."""

    body: Any = field(repr=False)


class Http:
    """Sends calls to one API; safe to share between threads.

    Raises `ApiUnreachableError`, `ApiFaultError`, or another `ApiError` that fits the status; for a
    call that is not repeatable `MintOutcomeUnknownError`, where the server may have done it.
    """

    def __init__(self, base_url: str, clock: Clock) -> None:
        self._base_url = base_url
        self._clock = clock
        self._session = _session(base_url)
        self.clock_skew: timedelta | None = None

    def send(  # noqa: PLR0913 - the parts of an HTTP request, by name
        self,
        call: Call,
        *,
        item: str = "",
        bearer: str | None = None,
        form: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Send one call and return its answer; `item` is appended to the path."""
        request = requests.Request(
            call.method,
            self._base_url + call.path + item,
            auth=_Bearer(bearer),
            data=form,
            params=query,
            json=json,
        )
        try:
            return self._exchanged(call, request)
        except ApiError as error:
            if call.repeatable or not error.retryable or isinstance(error, NotDoneError):
                raise
            raise outcome_unknown(error) from None

    def _exchanged(self, call: Call, request: requests.Request) -> Answer:
        timeout = (CONNECT_TIMEOUT, READ_TIMEOUT)
        try:
            prepared = self._session.prepare_request(request)
            settings = self._session.merge_environment_settings(
                prepared.url, {}, stream=True, verify=None, cert=None
            )
            with self._session.send(
                prepared, timeout=timeout, allow_redirects=False, **settings
            ) as response:
                self._note_time(response.headers.get("Date"))
                if response.status_code != requests.codes.ok:
                    raise refusal(call, response.status_code)
                return Answer(_json(call, response.raw))
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            # Without its cause: the text of these errors can hold the URL, and with it a token.
            raise unreachable(call, error) from None

    def _note_time(self, date: str | None) -> None:
        try:
            server = parsedate_to_datetime(date or "")
            self.clock_skew = self._clock() - server
        except (TypeError, ValueError):
            return


class _Bearer(requests.auth.AuthBase):
    """Sets the header itself, so that requests does not look for credentials in `~/.netrc`."""

    def __init__(self, bearer: str | None) -> None:
        self._bearer = bearer

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._bearer:
            request.headers["Authorization"] = f"Bearer {self._bearer}"
        return request


def _session(base_url: str) -> requests.Session:
    logging.getLogger("urllib3.connectionpool").addFilter(_cut_query)
    session = requests.Session()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # this API sets none
    safe_to_repeat = _adapter(methods=("GET", "DELETE", "POST"))
    session.mount(base_url, _adapter(methods=("GET", "DELETE")))
    for call in (LOGIN, REFRESH, EXCHANGE):
        session.mount(base_url + call.path, safe_to_repeat)
    return session


def _adapter(methods: tuple[str, ...]) -> HTTPAdapter:
    retry = Retry(
        total=RETRIES,
        other=0,  # these may come after the request was sent, whatever its method
        allowed_methods=methods,
        status_forcelist=_BUSY,
        raise_on_status=False,
        backoff_factor=0.2,
        backoff_jitter=0.3,
        backoff_max=LONGEST_PAUSE,
        respect_retry_after_header=True,
        retry_after_max=LONGEST_PAUSE,
    )
    return HTTPAdapter(max_retries=retry, pool_maxsize=_CONNECTIONS)


def _cut_query(record: logging.LogRecord) -> bool:
    """Keep the refresh token, a query parameter of this API, out of urllib3's log lines."""
    record.msg, record.args = record.getMessage().split("?", 1)[0], ()
    return True


def _json(call: Call, raw: urllib3.HTTPResponse) -> Any:  # noqa: ANN401 - JSON from outside
    body = _bounded(call, raw)
    try:
        return codec.loads(body)
    except (ValueError, RecursionError):
        raise ApiFaultError(f"{call.doing}: the API's answer is not JSON") from None


def _bounded(call: Call, raw: urllib3.HTTPResponse) -> bytes:
    deadline = time.monotonic() + READ_TIMEOUT
    body = b""
    while chunk := raw.read1(call.largest, decode_content=True):
        body += chunk
        if len(body) > call.largest:
            raise ApiFaultError(f"{call.doing}: the API's answer is longer than {call.largest} B")
        if time.monotonic() > deadline:
            raise ApiFaultError(f"{call.doing}: the API's answer took over {READ_TIMEOUT:.0f} s")
    return body

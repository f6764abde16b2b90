"""HTTP to the API: the calls as data, and a client bounded in time, size and repetition."""

import json as codec
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Self
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from rotator.clock import Clock
from rotator.errors import ApiError, ApiFaultError
from rotator.nocturna.calls import (
    Call,
    NotDoneError,
    error_of_connection,
    error_of_status,
    outcome_unknown,
)
from rotator.urls import is_loopback

_YEARS = range(2000, 2400)  # other dates come from a broken server
_STEADY = 1.0  # seconds by which two clocks may drift apart between two answers


class ServerTime:
    """Remembers how far this machine's clock is off; `monotonic` counts seconds."""

    def __init__(self, clock: Clock, monotonic: Callable[[], float]) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._drift = 0.0
        self.skew: timedelta | None = None

    def note(self, date: str | None) -> None:
        """Take over a `Date` header, which tells the time in whole seconds; none is no harm."""
        try:
            moment = parsedate_to_datetime(date or "")
            skew = self._clock() - moment
        except (TypeError, ValueError, OverflowError):
            return
        if moment.year in _YEARS:
            self.skew, self._drift = skew, self._apart()

    def now(self) -> datetime:
        """Return the server's present as aware UTC: this machine's before the first date."""
        return self._clock() - (self.skew or timedelta())

    @property
    def is_doubtful(self) -> bool:
        """Whether this machine's clock was set since, or the machine slept."""
        return self.skew is not None and abs(self._apart() - self._drift) > _STEADY

    def _apart(self) -> float:
        return self._clock().timestamp() - self._monotonic()


_BUSY = frozenset({429, 500, 502, 503, 504})
_CONNECTIONS = 32
_NONE_OF_OURS = ("TRACE",)  # to urllib3 an empty list means: every method
_CHATTY = ("urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry")
# Most of urllib3's lines name no server, so that ours are known by the thread that writes them.
_calling: ContextVar[bool] = ContextVar("calling", default=False)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how often a call may try; times are in seconds."""

    connect: float = 5.0
    read: float = 15.0  # for silence, and for the whole of an answer's body
    retries: int = 2
    backoff: float = 0.2
    longest_pause: float = 15.0  # whatever Retry-After asks for


_USUAL = Limits()


@dataclass(frozen=True, slots=True)
class Answer:
    """A 200 answer; its body is JSON that nobody has checked yet."""

    body: Any = field(repr=False)


class ApiClient:
    """Sends calls to one API; safe to share between threads.

    Raises `ApiUnreachableError`, `ApiFaultError`, or another `ApiError` that fits the status; for a
    call that is not repeatable `MintOutcomeUnknownError`, where the server may have done it.
    """

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
        self._session = _session(limits, retried=("GET", "DELETE", "POST"))
        # Proxies and CA bundle; requests would look through the whole environment for each call.
        self._environment = self._session.merge_environment_settings(
            base_url, {}, stream=True, verify=None, cert=None
        )
        if is_loopback(urlsplit(base_url).hostname):
            self._environment["proxies"] = {}  # a proxy would read the password on its way back
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
        timeout = (self._limits.connect, self._limits.read)
        try:
            prepared = self._session.prepare_request(request)
            with (
                _told_less(),
                self._connected(call) as session,
                session.send(
                    prepared, timeout=timeout, allow_redirects=False, **self._environment
                ) as response,
            ):
                self.time.note(response.headers.get("Date"))
                if response.status_code != requests.codes.ok:
                    raise error_of_status(call, response.status_code)
                return Answer(_json(call, response.raw, self._limits.read))
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            failure = error_of_connection(call, error, self._place)
        except OSError:  # requests raises it for this one reason
            failure = NotDoneError(
                f"{call.doing}: the file that REQUESTS_CA_BUNDLE names is not there"
            )
        # Out here, where it has no context: the text of such an error can hold the URL, and with it
        # a token, and `from None` would only hide it.
        raise failure

    @contextmanager
    def _connected(self, call: Call) -> Iterator[requests.Session]:
        if call.repeatable:
            yield self._session
            return
        # A connection that is used again can be dropped by the server at that very moment, and
        # nobody could tell whether it did the call: this one gets a connection of its own.
        with _session(self._limits, retried=_NONE_OF_OURS) as session:
            yield session


class _Bearer(requests.auth.AuthBase):
    """Sets the header itself, so that requests does not look for credentials in `~/.netrc`."""

    def __init__(self, bearer: str | None) -> None:
        self._bearer = bearer

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._bearer:
            request.headers["Authorization"] = f"Bearer {self._bearer}"
        return request


class _Session(requests.Session):
    """Follows no redirect; requests would at least read such an answer, however long it is."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        del resp


class _Retry(Retry):
    """Trusts no answer that asks for a retry: neither its length nor its `Retry-After`."""

    def increment(self, *args: Any, **kwargs: Any) -> Self:  # noqa: ANN401 - passed on as they are
        if response := kwargs.get("response"):
            response.close()  # urllib3 would read it to its end, which may never come
        return super().increment(*args, **kwargs)

    def parse_retry_after(self, retry_after: str) -> float:
        try:
            return super().parse_retry_after(retry_after)
        except (urllib3.exceptions.InvalidHeader, ValueError, OverflowError):
            return 0.0


def _session(limits: Limits, retried: tuple[str, ...]) -> requests.Session:
    for name in _CHATTY:
        logging.getLogger(name).addFilter(_tell_less)
    session = _Session()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # this API sets none
    adapter = _adapter(limits, retried)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def _adapter(limits: Limits, retried: tuple[str, ...]) -> HTTPAdapter:
    retry = _Retry(
        total=limits.retries,
        other=0,  # these may come after the request was sent, whatever its method
        allowed_methods=retried,
        status_forcelist=_BUSY,
        raise_on_status=False,
        backoff_factor=limits.backoff,
        backoff_jitter=limits.backoff,
        backoff_max=limits.longest_pause,
        respect_retry_after_header=True,
        retry_after_max=limits.longest_pause,  # type: ignore[arg-type] # it is only compared
    )
    return HTTPAdapter(max_retries=retry, pool_maxsize=_CONNECTIONS)


@contextmanager
def _told_less() -> Iterator[None]:
    before = _calling.set(True)
    try:
        yield
    finally:
        _calling.reset(before)


def _tell_less(record: logging.LogRecord) -> bool:
    """Keep out of urllib3's log lines what may hold a secret; only those of our calls are touched.

    These are queries (the refresh token is one) and the texts of errors, which repeat what was
    received. Warnings are left out: a call that fails in the end raises an error, which says why.
    """
    if not _calling.get():
        return True
    if record.levelno >= logging.WARNING:
        return False
    args = record.args if isinstance(record.args, tuple) else ()
    record.args = tuple(type(a).__name__ if isinstance(a, Exception) else a for a in args)
    record.msg, record.args = record.getMessage().split("?", 1)[0], ()
    record.exc_info = None
    return True


def _json(call: Call, raw: urllib3.HTTPResponse, seconds: float) -> Any:  # noqa: ANN401 - JSON from outside
    body = _bounded(call, raw, seconds)
    try:
        return codec.loads(body)
    except (ValueError, RecursionError):
        raise ApiFaultError(f"{call.doing}: the API's answer is not JSON") from None


def _bounded(call: Call, raw: urllib3.HTTPResponse, seconds: float) -> bytearray:
    deadline = time.monotonic() + seconds
    body = bytearray()
    while chunk := raw.read1(call.largest, decode_content=True):
        body += chunk
        if len(body) > call.largest:
            raise ApiFaultError(f"{call.doing}: the API's answer is longer than {call.largest} B")
        if time.monotonic() > deadline:
            raise ApiFaultError(f"{call.doing}: the API's answer took over {seconds:g} s")
    return body

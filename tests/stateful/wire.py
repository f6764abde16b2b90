"""Real client, real server, and a function call in the place of the socket between them."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, timedelta
from email.utils import format_datetime
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from rotator.clock import Clock
from rotator.embedded_api.api import ApiRequest, ApiResponse, serve
from rotator.embedded_api.state import ApiState
from rotator.http.client import BoundedSession
from rotator.nocturna.api import ApiClient
from rotator.nocturna.service_tokens import TokenApi
from rotator.nocturna.session import AdminSession
from tests.stateful.calendar import Calendar
from tests.support.sandbox import Fault, Faults

EMAIL, PASSWORD = "admin@example.com", "correct horse battery staple"
MINT = ("POST", "/api/auth/admin/service-tokens")
ATTEMPTS = 3
BUSY = (429, 500, 502, 503, 504)

Deliver = Callable[[requests.PreparedRequest], requests.Response]


@dataclass
class Mint:
    """A request for the token of that name; `token_id` is what came of it, known or not.

    `is_untold` says that the record of it was removed by somebody's hand.
    """

    name: str
    token_id: str | None = None
    is_untold: bool = False


class Wire:
    """The server's end; `late` are the spans by which the next mints outlive their clients."""

    def __init__(self, clock: Calendar) -> None:
        self._clock = clock
        self.state = ApiState(clock, access_lifetime=1800, refresh_lifetime=7 * 86400, login_cpu=0)
        self.faults = Faults(self.state)
        self.admin = self.state.add_user(EMAIL, PASSWORD, is_admin=True)
        self.late: list[timedelta] = []
        self.mints: list[Mint] = []
        self._builder = HTTPAdapter()

    def deliver(self, prepared: requests.PreparedRequest, name: str) -> requests.Response:
        """Serve a request that is sent for the token of that name."""
        request = _received(prepared)
        if not is_mint(prepared):
            return self._answered(prepared, *self._serve(request))
        mint = Mint(name)
        self.mints.append(mint)
        if self.late:
            self._clock.plan(self.late.pop(), lambda: self._mint(request, mint))
            raise _reset()
        return self._answered(prepared, *self._mint(request, mint))

    def _serve(self, request: ApiRequest) -> tuple[ApiResponse, Fault]:
        return self.faults.serve(request, partial(serve, self.state))

    def _mint(self, request: ApiRequest, mint: Mint) -> tuple[ApiResponse, Fault]:
        before = len(self.state.rows)
        answer, fault = self._serve(request)
        for row in self.state.rows[before:]:
            mint.token_id = row.id
            row.revoked = mint.is_untold  # by whoever removed its record
        return answer, fault

    def _answered(
        self, prepared: requests.PreparedRequest, answer: ApiResponse, fault: Fault
    ) -> requests.Response:
        if fault.send == "reset":
            raise _reset()
        return self._builder.build_response(prepared, self._sent(answer, fault))

    def _sent(self, answer: ApiResponse, fault: Fault) -> urllib3.HTTPResponse:
        whole = len(answer.body)
        body = answer.body[: whole // 2] if fault.send == "truncated" else answer.body
        date = format_datetime(self._clock().astimezone(UTC), usegmt=True)
        headers = {"date": date, "content-length": str(whole), **dict(answer.headers)}
        if answer.content_type:
            headers["content-type"] = answer.content_type
        return urllib3.HTTPResponse(
            io.BytesIO(body), headers=headers, status=answer.status, preload_content=False
        )


def connected(deliver: Deliver, clock: Clock, monotonic: Callable[[], float]) -> TokenApi:
    """Return a client as the rotator has it, whose requests go through `deliver`."""
    http = _WiredHttp(deliver, clock, monotonic)
    session = AdminSession(http, lambda: (EMAIL, PASSWORD), monotonic)
    return TokenApi(http, session, monotonic)


def _reset() -> requests.ConnectionError:
    return requests.ConnectionError(urllib3.exceptions.ProtocolError("reset"))


def is_mint(prepared: requests.PreparedRequest) -> bool:
    return (prepared.method, urlsplit(str(prepared.url)).path) == MINT


class _WiredHttp(ApiClient):
    def __init__(self, deliver: Deliver, clock: Clock, monotonic: Callable[[], float]) -> None:
        super().__init__("http://wire/api", clock, monotonic=monotonic)
        self._session = self._once = BoundedSession()
        self._session.mount("http://", _Adapter(deliver))


class _Adapter(HTTPAdapter):
    """Repeats what the real one would, without its pauses."""

    def __init__(self, deliver: Deliver) -> None:
        super().__init__()
        self._deliver = deliver

    def send(
        self, request: requests.PreparedRequest, *_args: object, **_kwargs: object
    ) -> requests.Response:
        for _ in range(0 if is_mint(request) else ATTEMPTS - 1):
            try:
                response = self._deliver(request)
            except requests.ConnectionError:
                continue
            if response.status_code not in BUSY:
                return response
        return self._deliver(request)


def _received(prepared: requests.PreparedRequest) -> ApiRequest:
    url = urlsplit(str(prepared.url))
    headers: dict[str, Any] = {key.lower(): value for key, value in prepared.headers.items()}
    body = prepared.body or b""
    return ApiRequest(
        method=str(prepared.method),
        path=unquote(url.path),
        query=url.query,
        authorization=headers.get("authorization"),
        content_type=headers.get("content-type"),
        host=url.netloc,
        body=body.encode() if isinstance(body, str) else bytes(body),
    )

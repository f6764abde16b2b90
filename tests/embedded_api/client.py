"""A plain HTTP client that hides nothing, and a clock that tests move."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import Message
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

import jwt

from tests.support.waiting import PATIENCE

NOON = datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC)


MINT = "POST /auth/admin/service-tokens"
LIST = "GET /auth/admin/service-tokens"
EXCHANGE = "POST /auth/service-token/refresh"


def claims_of(token: str) -> dict[str, Any]:
    """Read a JWT without its key, as clients must."""
    return dict(jwt.decode(token, options={"verify_signature": False}))


@dataclass
class FakeClock:
    """The server's present, which stands still until it is moved."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **parts: float) -> None:
        self.now += timedelta(**parts)


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - tests look into it as deep as they like
        return json.loads(self.body)

    @property
    def refusal(self) -> tuple[int, Any]:
        """Status and `detail`, which must be all that the body has."""
        assert list(self.json) == ["detail"]
        return self.status, self.json["detail"]


@dataclass
class Client:
    """One keep-alive connection; paths are below the base URL."""

    url: str
    timeout: float = PATIENCE
    connection: HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        self.base = parts.path
        self.connection = HTTPConnection(str(parts.hostname), parts.port, timeout=self.timeout)

    def call(  # noqa: PLR0913 - one keyword for each thing that a request may carry
        self,
        name: str,
        *,
        bearer: str | None = None,
        form: dict[str, str] | None = None,
        order: object = None,
        headers: dict[str, str] | None = None,
        body: str | None = None,
    ) -> Reply:
        """Make the call `METHOD /path`, with a form, or JSON for `order`, or a body as it is."""
        method, path = name.split(" ")
        fields = dict(headers or {})
        if bearer is not None:
            fields["Authorization"] = f"Bearer {bearer}"
        if form is not None:
            body, fields["Content-Type"] = urlencode(form), "application/x-www-form-urlencoded"
        if order is not None:
            body, fields["Content-Type"] = json.dumps(order), "application/json"
        self.connection.request(method, self.base + path, body=body, headers=fields)
        response = self.connection.getresponse()
        return Reply(response.status, response.headers, response.read())

    def log_in(self, email: str, password: str) -> Reply:
        return self.call("POST /auth/login", form={"username": email, "password": password})

    def close(self) -> None:
        self.connection.close()

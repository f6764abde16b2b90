"""A bot with its clock at hand, and what it can call."""

from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO

import requests
from requests.adapters import BaseAdapter
from urllib3 import HTTPResponse

from rotator.client import TokenManager
from rotator.http.client import Limits
from tests.nocturna.support import Stopwatch
from tests.support.sandbox import Sandbox

EXCHANGE = "POST /auth/service-token/refresh"
CHART = "POST /stateless/natal-chart"
LOGIN = "POST /auth/login"
REFRESH = "POST /auth/refresh"
ONCE = Limits(retries=0)
LIFE = 1800  # seconds, of the sandbox's access tokens
STALE = LIFE - 299
OVER = LIFE + 1


def no_jitter() -> float:
    return 0.0


@dataclass
class Bot:
    """A manager on a clock that stands still, and calls with its tokens over real HTTP."""

    api: Sandbox
    source: str | Callable[[], str]
    limits: Limits = ONCE
    stopwatch: Stopwatch = field(default_factory=Stopwatch)

    def __post_init__(self) -> None:
        self.manager = TokenManager(
            self.api.url, self.source, limits=self.limits, now=self.stopwatch, jitter=no_jitter
        )

    @property
    def exchanges(self) -> int:
        """The exchanges that the API was asked for, refused and failed ones included."""
        return paths(self.api).count(EXCHANGE)


def paths(api: Sandbox) -> list[str]:
    """Return the calls that the API has had, without their statuses."""
    return [f"{method} {path}" for method, path, _ in api.calls]


def statuses(api: Sandbox, call: str) -> list[int | None]:
    """Return the statuses with which that call was answered."""
    return [status for method, path, status in api.calls if f"{method} {path}" == call]


class Door(BaseAdapter):
    """Stands for an ordinary call of the API, so that ten thousand take seconds.

    It accepts every bearer but those in `refused`, and counts its answers.
    """

    def __init__(self) -> None:
        super().__init__()
        self.refused: set[str] = set()
        self.answers: list[int] = []

    def status_for(self, header: str) -> int:
        status = 401 if header.removeprefix("Bearer ") in self.refused else 200
        self.answers.append(status)
        return status

    def send(  # type: ignore[override] # what requests passes by name
        self, request: requests.PreparedRequest, **_: object
    ) -> requests.Response:
        response = requests.Response()
        response.status_code = self.status_for(request.headers["Authorization"])
        response.raw = HTTPResponse(BytesIO(b"{}"), preload_content=False, headers={})
        response.request, response.url = request, request.url or ""
        response.connection = self  # type: ignore[assignment] # any adapter can be asked again
        return response

    def close(self) -> None:
        """There is nothing to close."""

"""The embedded API in a process of its own, so that it shares no interpreter with what we time."""

import secrets
from collections import Counter
from http import HTTPStatus
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Self

CALL_DELAY = 0.005
LOGIN_CPU = 0.240
LOGIN = "POST /auth/login"
MINT = "POST /auth/admin/service-tokens"


class Api:
    """A server that runs while the `with` block does; `call_delay` and `login_cpu` in seconds."""

    def __init__(self, *, call_delay: float, login_cpu: float) -> None:
        context = get_context("spawn")
        self._password = secrets.token_urlsafe(16)
        self._orders, theirs = context.Pipe()
        costs = (call_delay, login_cpu)
        self._process = context.Process(
            target=_serve, args=(theirs, costs, self._password), daemon=True
        )

    def __enter__(self) -> Self:
        self._process.start()
        self._url, self._email = self._orders.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self._orders.send(("stop", None))
        self._process.join()

    @property
    def variables(self) -> dict[str, str]:
        """What a program needs in its environment to be this API's administrator."""
        return {
            "NOCTURNA_API_URL": self._url,
            "NOCTURNA_ADMIN_EMAIL": self._email,
            "NOCTURNA_ADMIN_PASSWORD": self._password,
        }

    def issue(self, count: int, *, days: int = 3) -> list[str]:
        """Return new service tokens with so many days left."""
        self._orders.send(("issue", (count, days)))
        tokens: list[str] = self._orders.recv()
        return tokens

    def accepted(self, tokens: list[str]) -> int:
        """Return how many of these tokens the API would exchange."""
        self._orders.send(("accepted", tokens))
        count: int = self._orders.recv()
        return count

    def calls(self) -> Counter[str]:
        """Return how often each call was answered with 200."""
        self._orders.send(("calls", None))
        calls: Counter[str] = self._orders.recv()
        return calls


def _serve(orders: Connection, costs: tuple[float, float], password: str) -> None:
    # Only here: the benchmark's own process is to stay small.
    from rotator.embedded_api import EmbeddedApi  # noqa: PLC0415
    from rotator.embedded_api.api import ApiRequest, ApiResponse, relative_path  # noqa: PLC0415
    from rotator.embedded_api.server import Serve  # noqa: PLC0415

    calls: list[str] = []

    def count(request: ApiRequest, call_next: Serve) -> ApiResponse:
        response = call_next(request)
        if response.status == HTTPStatus.OK:
            calls.append(f"{request.method} {relative_path(request.path)}")
        return response

    with EmbeddedApi(
        call_delay=costs[0], login_cpu=costs[1], admin_password=password, middleware=count
    ) as api:
        orders.send((api.url, api.admin_email))
        while True:
            match orders.recv():
                case ("issue", (count, days)):
                    orders.send([api.issue(days=days) for _ in range(count)])
                case ("accepted", tokens):
                    orders.send(sum(map(api.accepts, tokens)))
                case ("calls", _):
                    orders.send(Counter(calls))
                case _:
                    return

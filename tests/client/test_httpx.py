import asyncio
import io
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest

from rotator.client import ServiceTokenRefusedError, TokenManager
from rotator.client.httpx import NocturnaAuth
from tests.client.support import CHART, EXCHANGE, ONCE, Bot, paths, statuses
from tests.nocturna.support import answer, recorder
from tests.support.sandbox import BIRTH, Fault, Sandbox
from tests.support.waiting import PATIENCE
from tests.unit.jwts import service_jwt

BODY = b'{"year":1990}'
ACCESS = answer(200, '{"access_token": "a", "expires_in": 900}')
Post = Callable[..., httpx.Response]


@pytest.fixture(params=["sync", "async"])
def post(request: pytest.FixtureRequest) -> Post:
    """Send one request with a client of its own."""

    def sync(auth: NocturnaAuth, url: str, **options: Any) -> httpx.Response:  # noqa: ANN401 - httpx's
        with httpx.Client(auth=auth, timeout=PATIENCE) as client:
            return client.post(url, **({"json": BIRTH} | options))

    async def in_loop(auth: NocturnaAuth, url: str, options: Any) -> httpx.Response:  # noqa: ANN401 - (the same)
        async with httpx.AsyncClient(auth=auth, timeout=PATIENCE) as client:
            return await client.post(url, **({"json": BIRTH} | options))

    def in_a_loop(auth: NocturnaAuth, url: str, **options: Any) -> httpx.Response:  # noqa: ANN401 - (the same)
        return asyncio.run(in_loop(auth, url, options))

    return sync if request.param == "sync" else in_a_loop


@pytest.fixture
def auth(bot: Bot) -> NocturnaAuth:
    return NocturnaAuth(bot.manager)


def chart(api: Sandbox) -> str:
    return f"{api.url}/stateless/natal-chart"


def test_calls_carry_the_access_token(api: Sandbox, post: Post, auth: NocturnaAuth) -> None:
    assert [post(auth, chart(api)).status_code for _ in range(3)] == [200] * 3
    assert paths(api) == [EXCHANGE, CHART, CHART, CHART]


def test_after_a_401_the_call_is_sent_once_more_with_a_new_token(
    api: Sandbox, post: Post, auth: NocturnaAuth
) -> None:
    api.misbehave(Fault.status(401), CHART)
    response = post(auth, chart(api))
    assert response.status_code == 200
    assert [each.status_code for each in response.history] == [401]
    assert paths(api) == [EXCHANGE, CHART, EXCHANGE, CHART]


def test_a_second_401_is_the_callers(api: Sandbox, post: Post, auth: NocturnaAuth) -> None:
    api.misbehave(Fault.status(401, b"why"), CHART, times=2)
    response = post(auth, chart(api))
    assert (response.status_code, response.content) == (401, b"why")
    assert paths(api) == [EXCHANGE, CHART, EXCHANGE, CHART]


@pytest.mark.parametrize("status", [400, 403, 404, 429, 500])
def test_other_refusals_are_the_callers(
    api: Sandbox, post: Post, auth: NocturnaAuth, status: int
) -> None:
    api.misbehave(Fault.status(status), CHART)
    assert post(auth, chart(api)).status_code == status
    assert paths(api) == [EXCHANGE, CHART]


def test_when_no_other_token_can_be_had_after_a_401_that_is_the_error(
    api: Sandbox, post: Post, auth: NocturnaAuth
) -> None:
    post(auth, chart(api))
    api.rotate_signing_key()
    with pytest.raises(ServiceTokenRefusedError, match="renew it"):
        post(auth, chart(api))
    assert statuses(api, EXCHANGE) == [200, 401]


@pytest.mark.parametrize(
    "options",
    [{"content": BODY}, {"content": BODY.decode()}, {"json": {"year": 1990}}],
    ids=["bytes", "text", "json"],
)
def test_a_body_is_sent_once_more_as_it_was(post: Post, options: dict[str, Any]) -> None:
    with recorder(ACCESS, answer(401), ACCESS, answer()) as server:
        auth = NocturnaAuth(TokenManager(server.url, service_jwt(), limits=ONCE))
        assert post(auth, server.url, **options).status_code == 200
    _, first, _, second = server.requests
    assert first.body == second.body == BODY.decode()


def pieces() -> Iterator[bytes]:
    yield BODY


async def pieces_async() -> AsyncIterator[bytes]:
    yield BODY


def test_the_401_to_a_body_that_is_not_in_memory_is_the_callers(
    api: Sandbox, post: Post, auth: NocturnaAuth, request: pytest.FixtureRequest
) -> None:
    is_async = request.node.callspec.params["post"] == "async"
    api.misbehave(Fault.status(401, b"why"), CHART)
    headers = {"Content-Length": str(len(BODY))}
    body = pieces_async() if is_async else pieces()
    response = post(auth, chart(api), content=body, headers=headers)
    assert (response.status_code, response.content) == (401, b"why")
    assert paths(api) == [EXCHANGE, CHART, EXCHANGE]


def test_the_401_to_a_form_with_a_file_is_the_callers(
    api: Sandbox, bot: Bot, auth: NocturnaAuth
) -> None:
    api.misbehave(Fault.status(401), CHART)
    with httpx.Client(auth=auth, timeout=PATIENCE) as client:
        response = client.post(chart(api), files={"file": io.BytesIO(BODY)})
    assert response.status_code == 401
    assert bot.exchanges == 2


def test_a_stream_is_answered_after_a_401(api: Sandbox, auth: NocturnaAuth) -> None:
    api.misbehave(Fault.status(401, b"why"), CHART)
    with (
        httpx.Client(auth=auth, timeout=PATIENCE) as client,
        client.stream("POST", chart(api), json=BIRTH) as response,
    ):
        assert b"success" in response.read()

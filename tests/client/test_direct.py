"""The service token itself as a bearer."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import requests

from rotator.client import NocturnaAuth, ServiceTokenUnavailableError, TokenManager
from rotator.client.httpx import NocturnaAuth as HttpxAuth
from rotator.errors import ConfigError
from tests.client.support import CHART, Bot, paths, statuses
from tests.support.sandbox import BIRTH, Fault, Sandbox
from tests.support.waiting import PATIENCE

Post = Callable[[TokenManager, str], int]


def with_requests(manager: TokenManager, url: str) -> int:
    return requests.post(
        url, json=BIRTH, auth=NocturnaAuth(manager, mode="direct"), timeout=PATIENCE
    ).status_code


def with_httpx(manager: TokenManager, url: str) -> int:
    return httpx.post(
        url, json=BIRTH, auth=HttpxAuth(manager, mode="direct"), timeout=PATIENCE
    ).status_code


def with_async_httpx(manager: TokenManager, url: str) -> int:
    async def post() -> int:
        async with httpx.AsyncClient(
            auth=HttpxAuth(manager, mode="direct"), timeout=PATIENCE
        ) as client:
            return (await client.post(url, json=BIRTH)).status_code

    return asyncio.run(post())


@pytest.fixture(params=[with_requests, with_httpx, with_async_httpx])
def post(request: pytest.FixtureRequest) -> Post:
    found: Post = request.param
    return found


@pytest.fixture
def file(tmp_path: Path, api: Sandbox) -> Path:
    file = tmp_path / "token"
    file.write_text(api.issue())
    return file


@pytest.fixture
def bot(api: Sandbox, file: Path) -> Bot:
    return Bot(api, f"file:{file}")


def chart(api: Sandbox) -> str:
    return f"{api.url}/stateless/natal-chart"


def test_it_is_sent_as_it_is_and_never_exchanged(api: Sandbox, bot: Bot, post: Post) -> None:
    assert [post(bot.manager, chart(api)) for _ in range(3)] == [200] * 3
    assert paths(api) == [CHART] * 3


def test_a_rotated_one_is_taken_up_after_a_401(
    api: Sandbox, bot: Bot, post: Post, file: Path
) -> None:
    post(bot.manager, chart(api))
    api.rotate_signing_key()
    file.write_text(api.issue())
    assert post(bot.manager, chart(api)) == 200
    assert statuses(api, CHART) == [200, 401, 200]


def test_a_401_is_the_callers_when_the_source_holds_no_other(
    api: Sandbox, bot: Bot, post: Post
) -> None:
    api.misbehave(Fault.status(401), CHART, times=2)
    assert [post(bot.manager, chart(api)) for _ in range(3)] == [401, 401, 200]
    assert statuses(api, CHART) == [401, 401, 200]


def test_a_source_without_a_token_is_the_error(api: Sandbox, post: Post) -> None:
    with pytest.raises(ServiceTokenUnavailableError):
        post(Bot(api, "env:THERE_IS_NONE").manager, chart(api))
    assert api.calls == []


def test_another_mode_is_an_error(bot: Bot) -> None:
    with pytest.raises(ConfigError, match='expected "exchange", or "direct"'):
        NocturnaAuth(bot.manager, mode="both")  # type: ignore[arg-type] # that is the mistake

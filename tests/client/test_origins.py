"""The bearer goes to the API's own origin, and nowhere else."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests

from rotator.client import NocturnaAuth, TokenManager
from rotator.client.httpx import NocturnaAuth as HttpxAuth
from tests.client.support import CHART, EXCHANGE, ONCE, Bot, paths
from tests.nocturna.support import Recorder, answer, recorder
from tests.support.sandbox import BIRTH, Fault, Sandbox
from tests.support.waiting import PATIENCE
from tests.unit.jwts import service_jwt

STATUSES = [301, 302, 303, 307, 308]


async def get(auth: HttpxAuth, url: str) -> int:
    async with httpx.AsyncClient(auth=auth, timeout=PATIENCE) as client:
        return (await client.get(url)).status_code


def bearers(server: Recorder) -> list[str | None]:
    return [each.headers.get("authorization") for each in server.requests]


def test_requests_to_another_server_carry_no_bearer_and_their_401_means_nothing(bot: Bot) -> None:
    token = bot.manager.get_access_token()
    with recorder(answer(401)) as other:
        assert (
            requests.get(other.url, auth=NocturnaAuth(bot.manager), timeout=PATIENCE).status_code
            == 401
        )
        assert (
            httpx.get(other.url, auth=HttpxAuth(bot.manager), timeout=PATIENCE).status_code == 401
        )
        assert asyncio.run(get(HttpxAuth(bot.manager), other.url)) == 401
        assert bearers(other) == [None, None, None]
    assert bot.manager.get_access_token() == token
    assert bot.exchanges == 1


def test_the_log_tells_once_of_calls_elsewhere(bot: Bot, caplog: pytest.LogCaptureFixture) -> None:
    with recorder(answer(401)) as other:
        elsewhere = other.url.replace("127.0.0.1", "localhost")
        for auth, get in ((NocturnaAuth, requests.get), (HttpxAuth, httpx.get)):
            of_bot: Any = auth(bot.manager)
            for _ in range(2):
                get(f"{elsewhere}/x?y=secret", auth=of_bot, timeout=PATIENCE)
    told = [each for each in caplog.messages if "no bearer" in each]
    place = elsewhere.removesuffix("/api")
    assert told == [f"no bearer is sent to {place}: api_url is {bot.api.url}"] * 2


@pytest.mark.parametrize("status", STATUSES)
def test_a_redirect_to_another_server_takes_no_bearer_along(
    api: Sandbox, bot: Bot, status: int
) -> None:
    with recorder(answer(401)) as other:
        api.misbehave(Fault.redirect(other.url, status), CHART, times=2)
        url = f"{api.url}/stateless/natal-chart"
        with requests.Session() as session:
            session.auth = NocturnaAuth(bot.manager)
            assert session.post(url).status_code == 401
        with httpx.Client(
            auth=HttpxAuth(bot.manager), follow_redirects=True, timeout=PATIENCE
        ) as client:
            assert client.post(url).status_code == 401
        assert bearers(other) == [None, None]
    assert paths(api) == [EXCHANGE, CHART, CHART]


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_within_the_api_takes_it_along_and_a_401_there_is_tried_once_more(
    api: Sandbox, bot: Bot, status: int
) -> None:
    def misbehave() -> None:
        url = f"{api.url}/stateless/natal-chart"
        api.misbehave(Fault.redirect(url, status), "POST /health")
        api.misbehave(Fault.status(401), CHART)

    misbehave()
    with requests.Session() as session:
        session.auth = NocturnaAuth(bot.manager)
        assert session.post(f"{api.url}/health", json=BIRTH).status_code == 200
    misbehave()
    with httpx.Client(
        auth=HttpxAuth(bot.manager), follow_redirects=True, timeout=PATIENCE
    ) as client:
        assert client.post(f"{api.url}/health", json=BIRTH).status_code == 200
    assert paths(api).count("POST /health") == 2
    assert paths(api).count(CHART) == 4


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("entry", ["machine 127.0.0.1", "default"])
def test_a_login_of_the_netrc_file_takes_no_bearers_place_after_a_redirect(
    bot: Bot,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    entry: str,
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"{entry} login luna password of-luna\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    token = f"Bearer {bot.manager.get_access_token()}"
    with recorder(*[answer(status, "", "Location: /api/b")] * 2, answer(200)) as server:
        monkeypatch.setattr(bot.manager, "api_url", server.url)
        auth = NocturnaAuth(bot.manager)
        url = f"{server.url}/a"
        assert requests.post(url, b"x", auth=auth, timeout=PATIENCE).status_code == 200
        assert bearers(server) == [token] * 3


@pytest.mark.parametrize("netrc", ["", "default login of-netrc password of-luna"])
def test_another_login_counts_in_a_request_that_has_carried_the_bearer(
    bot: Bot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, netrc: str
) -> None:
    (tmp_path / "netrc").write_text(netrc)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with recorder(*[answer(200)] * 3) as other, requests.Session() as session:
        sent = requests.Request("GET", bot.api.url, auth=NocturnaAuth(bot.manager)).prepare()
        for login in ("Basic eDp5", b"Basic eDp5", "Token x"):
            copied: Any = sent.copy()
            copied.headers["authorization"] = login
            copied.url = other.url
            session.send(copied)
        copied.prepare_auth(("luna", "of-luna"))
        assert bearers(other) == ["Basic eDp5", "Basic eDp5", "Token x"]
    assert copied.headers["Authorization"].startswith("Basic")
    assert sent.headers["Authorization"].startswith("Bearer")


def test_a_refusal_of_another_login_is_the_caller_s_own(bot: Bot) -> None:
    url = f"{bot.api.url}/stateless/natal-chart"
    sent = requests.Request("POST", url, auth=NocturnaAuth(bot.manager)).prepare()
    with requests.Session() as session:
        for login in ("Basic eDp5", b"Basic eDp5"):
            copied: Any = sent.copy()
            copied.headers["Authorization"] = login
            assert session.send(copied).status_code == 401


def test_a_redirect_back_from_another_server_carries_no_bearer(api: Sandbox, bot: Bot) -> None:
    url = f"{api.url}/stateless/natal-chart"
    with recorder(answer(307, "", f"Location: {url}")) as other:
        api.misbehave(Fault.redirect(other.url), "POST /health")
        api.misbehave(Fault.redirect(other.url), "POST /health")
        auth = NocturnaAuth(bot.manager)
        assert requests.post(f"{api.url}/health", auth=auth, timeout=PATIENCE).status_code == 401
        with httpx.Client(
            auth=HttpxAuth(bot.manager), follow_redirects=True, timeout=PATIENCE
        ) as client:
            assert client.post(f"{api.url}/health").status_code == 401
    assert bot.exchanges == 1
    assert paths(api).count(CHART) == 2


def test_a_401_of_another_origin_means_nothing_though_it_got_the_bearer(bot: Bot) -> None:
    upgraded = bot.api.url.replace("http:", "https:")  # what requests and httpx allow at times
    sent = requests.Request("GET", bot.api.url, auth=NocturnaAuth(bot.manager)).prepare()
    answered = requests.Response()
    answered.status_code, answered.request, sent.url = 401, sent, upgraded
    [hook] = sent.hooks["response"]
    assert hook(answered) is answered
    flow = HttpxAuth(bot.manager).sync_auth_flow(httpx.Request("GET", bot.api.url))
    request = httpx.Request("GET", upgraded, headers=next(flow).headers)
    with pytest.raises(StopIteration):
        flow.send(httpx.Response(401, request=request))
    bot.manager.get_access_token()
    assert bot.exchanges == 1


@pytest.mark.parametrize(
    ("api_url", "ours"),
    [
        ("https://example.com/api", "https://example.com/other"),
        ("https://example.com/api", "https://EXAMPLE.com:443/api"),
        ("https://Example.com:443/api", "https://example.com/api"),
        ("https://example.com:8443/api", "https://example.com:8443/"),
        ("https://b\u00fccher.example/api", "https://xn--bcher-kva.example/api"),
        ("http://localhost/api", "http://localhost:80/api"),
        ("http://[::1]:8000/api", "http://[::1]:8000/api"),
    ],
)
def test_the_same_origin_is_known_however_it_is_written(api_url: str, ours: str) -> None:
    assert carried(api_url, ours) == (True, True)


@pytest.mark.parametrize(
    "elsewhere",
    [
        "http://example.com/api",
        "https://example.com:8443/api",
        "https://example.com.evil.example/api",
        "https://evil.example/https://example.com/api",
        "https://example.com@evil.example/api",
        "https://example.com:443@evil.example/api",
        "https://evil.example#example.com/api",
        "https://api.example.com/api",
        "https://example.co/api",
    ],
)
def test_what_only_looks_like_the_origin_is_another(elsewhere: str) -> None:
    assert carried("https://example.com/api", elsewhere) == (False, False)


def carried(api_url: str, url: str) -> tuple[bool, bool]:
    """Tell whether requests and httpx would send the service token to that URL."""
    manager = TokenManager(api_url, service_jwt(), limits=ONCE)
    prepared = requests.Request("GET", url, auth=NocturnaAuth(manager, mode="direct")).prepare()
    flow = HttpxAuth(manager, mode="direct").sync_auth_flow(httpx.Request("GET", url))
    headers = (prepared.headers, next(flow).headers)
    return (
        headers[0].get("Authorization", "").startswith("Bearer"),
        headers[1].get("Authorization", "").startswith("Bearer"),
    )

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from rotator.client import NocturnaAuth, ServiceTokenRefusedError, TokenManager
from rotator.embedded_api.api import ApiResponse
from rotator.errors import ApiFaultError
from tests.client.support import CHART, EXCHANGE, ONCE, Bot, paths, statuses
from tests.nocturna.support import answer, recorder
from tests.support.sandbox import BIRTH, Fault, Sandbox
from tests.support.waiting import PATIENCE

BODY = b'{"year": 1990}'
ACCESS = answer(200, '{"access_token": "a", "expires_in": 900}')
REFUSED, FINE = answer(401), answer(200)


@pytest.fixture
def session(bot: Bot) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.auth = NocturnaAuth(bot.manager)
        yield session


def chart(api: Sandbox) -> str:
    return f"{api.url}/stateless/natal-chart"


def test_calls_carry_the_access_token(api: Sandbox, session: requests.Session) -> None:
    assert [session.post(chart(api), json=BIRTH).status_code for _ in range(3)] == [200] * 3
    assert paths(api) == [EXCHANGE, CHART, CHART, CHART]


def test_after_a_401_the_call_is_sent_once_more_with_a_new_token(
    api: Sandbox, session: requests.Session
) -> None:
    api.misbehave(Fault.status(401), CHART)
    response = session.post(chart(api), json=BIRTH)
    assert response.status_code == 200
    assert [each.status_code for each in response.history] == [401]
    assert paths(api) == [EXCHANGE, CHART, EXCHANGE, CHART]


def test_each_request_of_the_history_keeps_the_bearer_that_it_carried() -> None:
    newer = answer(200, '{"access_token": "b", "expires_in": 900}')
    with recorder(ACCESS, REFUSED, newer, FINE) as server:
        manager = TokenManager(server.url, _token(), limits=ONCE)
        response = requests.post(server.url, auth=NocturnaAuth(manager), timeout=PATIENCE)
    [first] = response.history
    carried = [each.request.headers["Authorization"] for each in (first, response)]
    assert carried == ["Bearer a", "Bearer b"]
    assert carried == [server.requests[number].headers["authorization"] for number in (1, 3)]


def test_a_second_401_is_the_callers(api: Sandbox, session: requests.Session) -> None:
    api.misbehave(Fault.status(401, b"why"), CHART, times=2)
    response = session.post(chart(api), json=BIRTH)
    assert (response.status_code, response.content) == (401, b"why")
    assert paths(api) == [EXCHANGE, CHART, EXCHANGE, CHART]
    assert session.post(chart(api), json=BIRTH).status_code == 200


@pytest.mark.parametrize("status", [400, 403, 404, 429, 500])
def test_other_refusals_are_the_callers(
    api: Sandbox, session: requests.Session, status: int
) -> None:
    api.misbehave(Fault.status(status), CHART)
    assert session.post(chart(api), json=BIRTH).status_code == status
    assert paths(api) == [EXCHANGE, CHART]


def test_when_no_other_token_can_be_had_after_a_401_that_is_the_error(
    api: Sandbox, session: requests.Session
) -> None:
    session.post(chart(api), json=BIRTH)
    api.rotate_signing_key()
    with pytest.raises(ServiceTokenRefusedError, match="renew it"):
        session.post(chart(api), json=BIRTH)
    assert statuses(api, EXCHANGE) == [200, 401]


def test_when_the_api_is_down_after_a_401_that_is_the_error(
    api: Sandbox, session: requests.Session
) -> None:
    session.post(chart(api), json=BIRTH)
    api.rotate_signing_key()
    api.misbehave(Fault.html(502), EXCHANGE)
    with pytest.raises(ApiFaultError) as caught:
        session.post(chart(api), json=BIRTH, stream=True)
    kept = [each.frame.f_locals.get("response") for each in caught.traceback]
    refused = [each for each in kept if isinstance(each, requests.Response)]
    assert refused
    assert all(each.raw.closed for each in refused)  # nobody else could close the one of the call


def in_the_middle_of_a_file(folder: Path) -> io.BufferedReader:
    file = folder / "body"
    file.write_bytes(b"skipped" + BODY)
    opened = file.open("rb")
    opened.seek(7)
    return opened


@pytest.mark.parametrize(
    "options",
    [
        lambda _: {"data": BODY},
        lambda _: {"data": BODY.decode()},
        lambda _: {"json": {"year": 1990}},
        lambda _: {"data": io.BytesIO(BODY)},
        lambda folder: {"data": in_the_middle_of_a_file(folder)},
    ],
    ids=["bytes", "text", "json", "memory", "file from its middle"],
)
def test_a_body_is_sent_once_more_as_it_was(
    tmp_path: Path, options: Callable[[Path], dict[str, Any]]
) -> None:
    with recorder(ACCESS, REFUSED, ACCESS, FINE) as server:
        manager = TokenManager(server.url, _token(), limits=ONCE)
        sent = options(tmp_path)
        assert requests.post(server.url, auth=NocturnaAuth(manager), timeout=PATIENCE, **sent).ok
        if file := sent.get("data"):
            getattr(file, "close", lambda: None)()
    _, first, _, second = server.requests
    assert first.body == second.body
    assert first.body.replace(" ", "") == BODY.decode().replace(" ", "")


class Tape(io.BytesIO):
    """A file that cannot be wound back."""

    def seek(self, *_: object) -> int:
        raise OSError


@pytest.mark.parametrize("body", [lambda: iter([BODY]), lambda: Tape(BODY)], ids=["iter", "tape"])
def test_the_401_to_a_body_that_cannot_be_sent_twice_is_the_callers(
    api: Sandbox, session: requests.Session, body: Callable[[], Any]
) -> None:
    def refuse() -> ApiResponse:
        return ApiResponse(401, b"why", "text/plain", drop=True)

    api.misbehave(Fault(work=False, answer=refuse()), CHART)
    response = session.post(chart(api), data=_sized(body()))
    assert (response.status_code, response.content) == (401, b"why")
    assert paths(api) == [EXCHANGE, CHART, EXCHANGE]
    assert session.post(chart(api), json=BIRTH).ok


def _sized(body: Any) -> Any:  # noqa: ANN401 - whatever requests takes
    """Tell the length of an iterator, as the sandbox reads no chunks."""
    if isinstance(body, io.BytesIO):
        return body

    class Sized:
        def __len__(self) -> int:
            return len(BODY)

        def __iter__(self) -> Iterator[bytes]:
            return iter(body)

    return Sized()


def test_the_connection_of_a_401_is_used_again(
    api: Sandbox, session: requests.Session, caplog: pytest.LogCaptureFixture
) -> None:
    session.post(chart(api), json=BIRTH)
    caplog.clear()
    for stream in (False, True):
        api.misbehave(Fault.status(401, b"x" * 1000), CHART)
        with session.post(chart(api), json=BIRTH, stream=stream) as response:
            assert response.json()["success"]
    lines = [each for each in caplog.messages if "connection" in each and "Starting" not in each]
    assert lines == []  # of urllib3: "Resetting dropped connection"
    assert len(caplog.messages) > 4


@pytest.mark.parametrize(
    "fault",
    [
        Fault(work=False, answer=ApiResponse(401, b"{}"), send="padded"),
        Fault(work=False, answer=ApiResponse(401, b"{}" * 9), send="truncated"),
    ],
    ids=["endless", "truncated"],
)
def test_whatever_follows_a_401_does_not_matter(
    api: Sandbox, session: requests.Session, fault: Fault
) -> None:
    for stream in (False, True):
        api.misbehave(fault, CHART)
        assert session.post(chart(api), json=BIRTH, stream=stream).json()["success"]


def test_hooks_of_a_session_see_the_second_answer_only(
    api: Sandbox, session: requests.Session
) -> None:
    seen: list[int] = []
    session.hooks["response"].append(lambda response, **_: seen.append(response.status_code))
    api.misbehave(Fault.status(401), CHART)
    session.post(chart(api), json=BIRTH)
    assert seen == [200]


def test_retries_of_an_adapter_go_on_working(api: Sandbox, session: requests.Session) -> None:
    retry = Retry(total=3, status_forcelist=[502], allowed_methods=None, backoff_factor=0)
    session.mount("http://", HTTPAdapter(max_retries=retry))
    for fault in (Fault.html(502), Fault.status(401), Fault.html(502)):
        api.misbehave(fault, CHART)
    assert session.post(chart(api), json=BIRTH).ok
    assert statuses(api, CHART) == [502, 401, 502, 200]


def test_one_auth_serves_many_sessions_and_calls_without_one(api: Sandbox, bot: Bot) -> None:
    auth = NocturnaAuth(bot.manager)
    for _ in range(2):
        with requests.Session() as session:
            assert session.post(chart(api), json=BIRTH, auth=auth).ok
        assert requests.post(chart(api), json=BIRTH, auth=auth, timeout=PATIENCE).ok
    assert bot.exchanges == 1


def _token() -> str:
    from tests.unit.jwts import service_jwt  # noqa: PLC0415

    return service_jwt()

from urllib.parse import parse_qs

import pytest

from rotator.errors import ApiFaultError, ApiUnreachableError, LoginRefusedError
from rotator.nocturna.session import PAUSE_AFTER_FAULT, PAUSE_AFTER_REFUSAL
from tests.nocturna.support import (
    GONE,
    LOGIN,
    REFRESH,
    Client,
    answer,
    credentials,
    paths,
    recorder,
    session,
)
from tests.support.sandbox import Fault, Sandbox


def test_a_login_is_a_form_and_its_bearer_is_used() -> None:
    password = "p&=ä %+"
    bodies = (answer(200, '{"access_token": "first", "expires_in": 900}'), answer(200))
    with recorder(*bodies) as server:
        Client(server.url, credentials(password, "Admin@Example.com")).call()
    login, revoke = server.requests
    assert login.line == "POST /api/auth/login HTTP/1.1"
    assert login.headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qs(login.body, strict_parsing=True) == {
        "username": ["Admin@Example.com"],
        "password": [password],
    }
    assert "authorization" not in login.headers
    assert revoke.headers["authorization"] == "Bearer first"


def test_a_wrong_password_is_tried_once_for_many_tokens(api: Sandbox) -> None:
    client = Client(api.url, credentials("wrong"))
    for _ in range(20):
        with pytest.raises(LoginRefusedError, match="upper and lower case"):
            client.call()
    assert paths(api) == [LOGIN]
    client.stopwatch.seconds += PAUSE_AFTER_REFUSAL - 1
    with pytest.raises(LoginRefusedError):
        client.call()
    assert paths(api) == [LOGIN]


def test_after_a_pause_the_password_is_read_and_tried_again(api: Sandbox) -> None:
    passwords = iter(["wrong", api.admin_password])
    client = Client(api.url, lambda: (api.admin_email, next(passwords)))
    with pytest.raises(LoginRefusedError):
        client.call()
    client.stopwatch.seconds += PAUSE_AFTER_REFUSAL
    client.call()
    assert paths(api) == [LOGIN, LOGIN, GONE]


def test_a_login_that_got_no_answer_is_tried_again_after_a_short_pause(
    api: Sandbox, client: Client
) -> None:
    api.misbehave(Fault.reset_before(), call=LOGIN, times=3)
    for _ in range(20):
        with pytest.raises(ApiUnreachableError):
            client.call()
    client.stopwatch.seconds += PAUSE_AFTER_FAULT
    client.call()
    assert paths(api) == [LOGIN] * 4 + [GONE]


@pytest.mark.parametrize("body", [[], {}, None, "text", {"access_token": 5}, {"access_token": ""}])
@pytest.mark.parametrize("call", [LOGIN, REFRESH])
def test_an_answer_without_an_access_token_is_a_fault(
    api: Sandbox, client: Client, call: str, body: object
) -> None:
    if call == REFRESH:
        client.call()
        client.stopwatch.seconds += 1800
    api.misbehave(Fault.json_of(body), call=call)
    with pytest.raises(ApiFaultError, match="has no access token"):
        client.call()


def test_a_line_break_in_an_access_token_never_reaches_a_header(
    api: Sandbox, client: Client
) -> None:
    api.misbehave(session(access_token="a\r\nX-Injected: 1"), call=LOGIN)
    with pytest.raises(ApiFaultError, match="has no access token"):
        client.call()
    assert paths(api) == [LOGIN]

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from rotator.errors import ApiFaultError
from rotator.nocturna.api import UnauthorizedError
from tests.nocturna.support import (
    GONE,
    LOGIN,
    MADE_UP,
    REFRESH,
    REVOKE,
    Client,
    answer,
    client_of,
    paths,
    recorder,
    session,
)
from tests.support.sandbox import Fault, Sandbox
from tests.support.waiting import PATIENCE


def test_one_login_serves_many_calls(api: Sandbox, client: Client) -> None:
    for _ in range(3):
        client.call()
    assert paths(api) == [LOGIN, GONE, GONE, GONE]


def test_one_login_serves_fifty_threads(api: Sandbox, client: Client) -> None:
    together = Barrier(50)

    def revoke(_: int) -> None:
        together.wait(PATIENCE)
        client.call()

    with ThreadPoolExecutor(50) as pool:
        list(pool.map(revoke, range(50)))
    assert sorted(paths(api)) == [GONE] * 50 + [LOGIN]


@pytest.mark.parametrize(
    ("lifetime", "seconds", "calls"),
    [
        (1800, 1739, [GONE]),
        (1800, 1741, [REFRESH, GONE]),
        (1800, 9999, [REFRESH, GONE]),
        (30, 19, [GONE]),
        (30, 21, [REFRESH, GONE]),
        ("soon", 839, [GONE]),
        ("soon", 841, [REFRESH, GONE]),
        (None, 841, [REFRESH, GONE]),
        (True, 100, [GONE]),
        (-5, 100, [GONE]),
        (float("nan"), 841, [REFRESH, GONE]),
        (10**400, 841, [REFRESH, GONE]),
    ],
    ids=str,
)
def test_a_session_is_refreshed_near_its_end(
    api: Sandbox, client: Client, lifetime: object, seconds: float, calls: list[str]
) -> None:
    api.misbehave(session(access_token=api.access_token(), expires_in=lifetime), call=LOGIN)
    api.misbehave(session(access_token=api.access_token()), call=REFRESH)
    client.call()
    client.stopwatch.seconds += seconds
    client.call()
    assert paths(api) == [LOGIN, GONE, *calls]


def test_a_session_is_refreshed_after_a_401_and_the_call_repeated(
    api: Sandbox, client: Client
) -> None:
    client.call()
    api.misbehave(Fault.status(401), call=REVOKE)
    client.call()
    assert paths(api) == [LOGIN, GONE, GONE, REFRESH, GONE]


def test_a_second_401_in_a_row_is_an_error(api: Sandbox, client: Client) -> None:
    api.misbehave(Fault.status(401), call=REVOKE, times=2)
    with pytest.raises(UnauthorizedError, match="does not accept the admin session"):
        client.call()
    assert paths(api) == [LOGIN, GONE, REFRESH, GONE]


def test_threads_that_meet_a_401_together_refresh_once(api: Sandbox, client: Client) -> None:
    client.call()
    api.rotate_signing_key()
    together = Barrier(8)

    def revoke(_: int) -> None:
        together.wait(PATIENCE)
        client.call()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(revoke, range(8)))
    assert paths(api).count(REFRESH) == 1
    assert paths(api).count(LOGIN) == 1


def test_a_refused_refresh_token_leads_to_a_new_login(api: Sandbox, client: Client) -> None:
    client.call()
    client.stopwatch.seconds += 1800
    api.misbehave(Fault.status(401), call=REFRESH)
    client.call()
    assert paths(api) == [LOGIN, GONE, REFRESH, LOGIN, GONE]


@pytest.mark.parametrize("refresh_token", [None, "", 5, "\ud800", "a b"], ids=ascii)
def test_without_a_usable_refresh_token_a_new_login_follows(
    api: Sandbox, client: Client, refresh_token: object
) -> None:
    sound = api.access_token()
    api.misbehave(session(access_token=sound, refresh_token=refresh_token), call=LOGIN)
    client.call()
    client.stopwatch.seconds += 1800
    client.call()
    assert paths(api) == [LOGIN, GONE, LOGIN, GONE]


def test_a_refresh_that_the_server_cannot_serve_is_no_reason_for_a_login(
    api: Sandbox, client: Client
) -> None:
    client.call()
    client.stopwatch.seconds += 1800
    api.misbehave(Fault.html(502), call=REFRESH, times=None)
    with pytest.raises(ApiFaultError, match=r"refresh the admin session: .*\(502\)"):
        client.call()
    assert LOGIN not in paths(api)[2:]


def test_a_new_refresh_token_is_adopted() -> None:
    def tokens(number: int) -> bytes:
        return answer(200, f'{{"access_token": "a{number}", "refresh_token": "r+{number}"}}')

    with recorder(tokens(1), answer(200), tokens(2), answer(200), tokens(3), answer()) as server:
        client = Client(server.url, MADE_UP)
        for _ in range(3):
            client.call()
            client.stopwatch.seconds += 900
    sent = [(each.line.split()[1], each.headers.get("authorization")) for each in server.requests]
    assert [each for each in sent if "refresh" in each[0]] == [
        ("/api/auth/refresh?refresh_token=r%2B1", None),
        ("/api/auth/refresh?refresh_token=r%2B2", None),
    ]
    assert [bearer for path, bearer in sent if "gone" in path] == [
        "Bearer a1",
        "Bearer a2",
        "Bearer a3",
    ]


LOGOUT = ("POST", "/auth/logout")


def logouts(api: Sandbox) -> int:
    return [(method, path) for method, path, _ in api.calls].count(LOGOUT)


def test_a_session_is_ended_once_and_begun_anew(api: Sandbox) -> None:
    client = client_of(api)
    client.tokens.log_out()
    assert logouts(api) == 0
    client.call()
    client.tokens.log_out()
    client.tokens.log_out()
    assert logouts(api) == 1
    assert api.state.refresh_tokens == {}
    client.call()


def test_a_logout_that_fails_does_not_matter(api: Sandbox) -> None:
    client = client_of(api)
    client.call()
    api.misbehave(Fault.reset_before(), "POST /auth/logout", times=None)
    client.tokens.log_out()
    assert logouts(api) == 1


def test_a_service_token_in_the_place_of_the_refresh_token_is_not_ended(api: Sandbox) -> None:
    secret = api.issue(days=60)
    answer = {"access_token": api.access_token(), "refresh_token": secret, "expires_in": 900}
    api.misbehave(Fault.json_of(answer), "POST /auth/login")
    client = client_of(api)
    client.call()
    client.tokens.log_out()
    assert logouts(api) == 0

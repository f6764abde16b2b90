"""The guide's flow for users: log in, refresh, and log in again when that is over."""

import pytest
import requests

from rotator.client import NocturnaAuth, UserSession
from rotator.errors import ApiFaultError, ConfigError, LoginRefusedError
from tests.client.support import LOGIN, ONCE, OVER, REFRESH, STALE, no_jitter, paths, statuses
from tests.nocturna.support import Stopwatch
from tests.support.sandbox import BIRTH, Fault, Sandbox
from tests.support.waiting import PATIENCE

WEEK = 7 * 86400


@pytest.fixture
def stopwatch() -> Stopwatch:
    return Stopwatch()


@pytest.fixture
def user(api: Sandbox, stopwatch: Stopwatch) -> UserSession:
    api.add_user("luna@example.com", "moonlight")
    return session(api, stopwatch, "moonlight")


def session(api: Sandbox, stopwatch: Stopwatch, password: str) -> UserSession:
    return UserSession(
        api.url, "luna@example.com", lambda: password, limits=ONCE, now=stopwatch, jitter=no_jitter
    )


def test_one_login_serves_many_calls(api: Sandbox, user: UserSession) -> None:
    auth = NocturnaAuth(user)
    for _ in range(3):
        assert requests.post(
            f"{api.url}/stateless/natal-chart", json=BIRTH, auth=auth, timeout=PATIENCE
        ).ok
    assert paths(api).count(LOGIN) == 1


@pytest.mark.parametrize("later", [STALE, OVER])
def test_a_session_is_refreshed_and_not_logged_in_again(
    api: Sandbox, user: UserSession, stopwatch: Stopwatch, later: float
) -> None:
    user.get_access_token()
    stopwatch.seconds += later
    user.get_access_token()
    assert paths(api) == [LOGIN, REFRESH]


def test_when_the_refresh_token_is_over_it_logs_in_again(
    api: Sandbox, user: UserSession, stopwatch: Stopwatch
) -> None:
    user.get_access_token()
    stopwatch.seconds += WEEK
    api.misbehave(Fault.status(401), REFRESH)
    user.get_access_token()
    stopwatch.seconds += OVER
    user.get_access_token()
    assert paths(api) == [LOGIN, REFRESH, LOGIN, REFRESH]


def test_a_server_that_cannot_refresh_now_is_not_sent_the_password(
    api: Sandbox, user: UserSession, stopwatch: Stopwatch
) -> None:
    user.get_access_token()
    stopwatch.seconds += OVER
    api.misbehave(Fault.html(502), REFRESH)
    with pytest.raises(ApiFaultError, match=r"refresh the user's session: .*\(502\)"):
        user.get_access_token()
    assert paths(api) == [LOGIN, REFRESH]


def test_after_a_401_the_session_is_refreshed_and_the_call_repeated(
    api: Sandbox, user: UserSession
) -> None:
    user.get_access_token()
    api.rotate_signing_key()
    auth = NocturnaAuth(user)
    assert requests.post(
        f"{api.url}/stateless/natal-chart", json=BIRTH, auth=auth, timeout=PATIENCE
    ).ok
    assert statuses(api, "POST /stateless/natal-chart") == [401, 200]
    assert statuses(api, REFRESH) == [200]


def test_a_wrong_password_is_not_sent_again_and_again(
    api: Sandbox, user: UserSession, stopwatch: Stopwatch
) -> None:
    del user
    wrong = session(api, stopwatch, "starlight")
    for _ in range(100):
        with pytest.raises(LoginRefusedError, match="refuses this e-mail and password"):
            wrong.get_access_token()
        stopwatch.seconds += 0.09
    assert statuses(api, LOGIN) == [401]


@pytest.mark.parametrize("end", ["\n", "\r", "\x1b[0m"])
def test_control_characters_in_a_login_are_refused_and_not_sent(api: Sandbox, end: str) -> None:
    broken = f"{api.admin_password}{end}"
    with pytest.raises(ConfigError, match=r"^password: found line breaks or control") as caught:
        UserSession(api.url, api.admin_email, broken)
    assert api.admin_password not in str(caught.value)
    user = UserSession(api.url, lambda: f"{api.admin_email}{end}", api.admin_password)
    with pytest.raises(ConfigError, match=r"^email: found line breaks or control"):
        user.get_access_token()
    assert paths(api) == []


def test_neither_repr_nor_mode_gives_the_password_away(user: UserSession) -> None:
    assert "luna" not in repr(user)
    with pytest.raises(ConfigError, match='"direct" with a TokenManager'):
        NocturnaAuth(user, mode="direct")

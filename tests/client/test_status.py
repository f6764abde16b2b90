from datetime import timedelta

import pytest

from rotator.client import TokenManager, token_status
from rotator.errors import MalformedTokenError
from tests.support.clock import NOON, FakeClock
from tests.support.sandbox import Sandbox
from tests.unit.jwts import lasting, service_jwt

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("left", "message"),
    [
        (60 * DAY, "expires in 60 days (2027-01-22 12:00 UTC); renewed below 7 days"),
        (7 * DAY, "expires in 7 days (2026-11-30 12:00 UTC); renewed below 7 days"),
    ],
    ids=str,
)
def test_the_life_of_a_token_is_told(clock: FakeClock, left: timedelta, message: str) -> None:
    status = token_status(lasting(left), clock=clock)
    assert (status.token_id, status.is_due) == ("t1", False)
    assert (status.expires_at, status.remaining) == (NOON + left, left)
    assert status.days_left == left / DAY
    assert status.message == f"service token t1: {message}"


@pytest.mark.parametrize(
    ("left", "message"),
    [
        (7 * DAY - SECOND, "expires in 7 days (2026-11-30 11:59 UTC); renewed below 7 days"),
        (timedelta(hours=5), "expires within the day, in 5 hours (2026-11-23 17:00 UTC)"),
        (timedelta(), "expired 0 seconds ago (2026-11-23 12:00 UTC)"),
        (-3 * DAY, "expired 3 days ago (2026-11-20 12:00 UTC)"),
    ],
    ids=str,
)
def test_a_token_that_is_due_is_told_with_what_to_do(
    clock: FakeClock, left: timedelta, message: str
) -> None:
    status = token_status(lasting(left), clock=clock)
    assert status.is_due
    assert (status.remaining, status.days_left) == (left, left / DAY)
    assert status.message == f"service token t1: {message}; renew it: rotator rotate"


def test_an_eternal_token_is_never_due(clock: FakeClock) -> None:
    status = token_status(lasting(None), clock=clock)
    assert (status.expires_at, status.remaining, status.days_left) == (None, None, None)
    assert not status.is_due
    assert status.message == "service token t1: never expires"


def test_when_it_is_due_can_be_chosen(clock: FakeClock) -> None:
    assert token_status(lasting(8 * DAY), timedelta(days=9), clock).is_due


@pytest.mark.parametrize("text", ["", "x", "a.b.c", service_jwt(type="access"), " eyJ.e.x"])
def test_what_is_no_service_token_is_an_error(text: str) -> None:
    with pytest.raises(MalformedTokenError):
        token_status(text)


def test_a_token_without_an_id_goes_by_its_fingerprint(clock: FakeClock) -> None:
    status = token_status(service_jwt(token_id=None), clock=clock)
    assert status.token_id is None
    assert status.message.startswith("service token sha256:")


def test_a_manager_tells_it_of_its_own_token_without_a_call(
    api: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOT", api.issue(days=3))
    status = TokenManager(api.url, "env:BOT").token_status()
    assert status.token_id == api.tokens[0].id
    assert status.is_due
    assert api.calls == []
    assert api.tokens[0].secret not in repr(status)

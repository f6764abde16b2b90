"""The list of service tokens, the account that reads it, and the server's time beside it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rotator.errors import ApiFaultError, LoginRefusedError, NotAdminError
from rotator.nocturna.service_tokens import ListedToken
from tests.nocturna.support import (
    LOGIN,
    MADE_UP,
    REFRESH,
    Client,
    answer,
    client_of,
    credentials,
    paths,
    recorder,
)
from tests.support.clock import NOON, FakeClock
from tests.support.sandbox import Fault, Sandbox

LIST = "GET /auth/admin/service-tokens"
VERIFY = "GET /auth/admin/verify"
ROW = {
    "id": "11111111-1111-4111-8111-111111111111",
    "user_id": "22222222-2222-4222-8222-222222222222",
    "scope": "calculations",
    "created_at": "2026-11-23T12:00:00",
    "expires_at": "2027-02-21T12:00:00.002000",
    "last_used_at": None,
}


def listed(api: Sandbox, client: Client, *rows: object) -> list[ListedToken]:
    api.misbehave(Fault.json_of(list(rows)), call=LIST)
    return client.tokens.list_tokens()


def test_the_list_is_what_the_server_knows(timed_api: Sandbox, clock: FakeClock) -> None:
    client = client_of(timed_api, clock=clock)
    used = timed_api.issue(90, scope="charts")
    clock.advance(timedelta(seconds=1, microseconds=5))
    timed_api.issue(eternal=True, created_at=NOON)
    timed_api.issue(-1)
    client.tokens.exchange(used)
    first, second, third = timed_api.tokens
    assert client.tokens.list_tokens() == [
        ListedToken(
            row.id, row.user_id, row.scope, row.created_at, row.expires_at, row.last_used_at
        )
        for row in (second, first, third)
    ]
    assert first.last_used_at == clock()
    assert second.last_used_at is None


def test_revoked_tokens_are_not_listed(api: Sandbox, client: Client) -> None:
    api.issue()
    api.revoke(api.tokens[0].id)
    assert client.tokens.list_tokens() == []


def test_a_list_that_a_server_did_not_give_is_asked_for_again(api: Sandbox, client: Client) -> None:
    api.issue()
    api.misbehave(Fault.reset_after(), call=LIST)
    api.misbehave(Fault.unavailable(), call=LIST)
    assert len(client.tokens.list_tokens()) == 1


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-23T12:00:00", NOON),
        ("2026-11-23T12:00:00.5", NOON + timedelta(seconds=0.5)),
        ("2026-11-23T12:00:00.000001", NOON + timedelta(microseconds=1)),
        ("2026-11-23T12:00:00Z", NOON),
        ("2026-11-23T12:00:00.250Z", NOON + timedelta(seconds=0.25)),
        ("2026-11-23T12:00:00+00:00", NOON),
        ("2026-11-23T13:30:00+01:30", NOON),
        ("2026-11-23T07:00:00-0500", NOON),
        ("9999-12-31T23:59:59", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_a_time_is_utc_unless_it_says_otherwise(
    api: Sandbox, client: Client, text: str, moment: datetime
) -> None:
    times = dict.fromkeys(("created_at", "expires_at", "last_used_at"), text)
    [row] = listed(api, client, ROW | times)
    assert row[3:] == (moment, moment, moment)
    assert {time.tzinfo for time in (row.created_at, row.expires_at)} == {UTC}


def test_a_token_may_have_no_scope(api: Sandbox, client: Client) -> None:
    assert [row.scope for row in listed(api, client, ROW | {"scope": None})] == [None]
    unscoped = {key: value for key, value in ROW.items() if key != "scope"}
    assert [row.scope for row in listed(api, client, unscoped)] == [None]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"id": None}, "no usable id"),
        ({"id": ""}, "no usable id"),
        ({"id": 7}, "no usable id"),
        ({"id": "../login"}, "no usable id"),
        ({"id": "a" * 65}, "no usable id"),
        ({"id": "a\n"}, "no usable id"),
        ({"user_id": None}, "no usable id"),
        ({"user_id": "a b"}, "no usable id"),
        ({"scope": ["calculations"]}, "no usable scope"),
        ({"created_at": None}, "no usable date"),
        ({"created_at": 1795435200}, "no usable date"),
        ({"created_at": "2026-11-23"}, "no usable date"),
        ({"created_at": "2026-02-30T12:00:00"}, "no usable date"),
        ({"created_at": "2026-W48-1T12:00:00"}, "no usable date"),
        ({"expires_at": ""}, "no usable date"),
        ({"expires_at": "0001-01-01T00:00:00+14:00"}, "no usable date"),
        ({"expires_at": "٢٠٢٦-11-23T12:00:00"}, "no usable date"),
        ({"last_used_at": "never"}, "no usable date"),
        ({"last_used_at": False}, "no usable date"),
    ],
    ids=str,
)
def test_one_row_that_cannot_be_read_refuses_the_whole_list(
    api: Sandbox, client: Client, changes: dict[str, Any], text: str
) -> None:
    with pytest.raises(ApiFaultError) as caught:
        listed(api, client, ROW, ROW | changes)
    assert str(caught.value) == (
        f"list the service tokens: the API's answer has a token with {text}"
    )


@pytest.mark.parametrize("row", [None, [], "text", 7])
def test_a_row_without_fields_refuses_the_whole_list(
    api: Sandbox, client: Client, row: object
) -> None:
    with pytest.raises(ApiFaultError, match="a token with no fields"):
        listed(api, client, ROW, row)


@pytest.mark.parametrize("body", [None, {}, {"items": [ROW]}, "text", 0], ids=str)
def test_what_is_no_list_is_a_fault(api: Sandbox, client: Client, body: object) -> None:
    api.misbehave(Fault.json_of(body), call=LIST)
    with pytest.raises(ApiFaultError, match=r"^list the service tokens: .* is no list$"):
        client.tokens.list_tokens()


def test_the_list_of_a_fleet_is_read_up_to_8_mib(api: Sandbox, client: Client) -> None:
    assert len(listed(api, client, *[ROW] * 30_000)) == 30_000
    with pytest.raises(ApiFaultError, match="longer than 8388608 B"):
        listed(api, client, ROW | {"scope": "x" * (8 << 20)})


def test_the_account_is_the_admins(api: Sandbox, client: Client) -> None:
    api.issue()
    assert client.tokens.account() == api.tokens[0].user_id
    assert paths(api) == [LOGIN, VERIFY]


@pytest.mark.parametrize("body", [[], {}, {"user_id": None}, {"user_id": 7}, {"user_id": ""}])
def test_an_account_without_an_id_is_a_fault(api: Sandbox, client: Client, body: object) -> None:
    api.misbehave(Fault.json_of(body), call=VERIFY)
    with pytest.raises(ApiFaultError, match="prove the admin's rights: the API does not name"):
        client.tokens.account()


def test_an_account_that_is_no_admin_is_told(api: Sandbox) -> None:
    api.add_user("user@example.com", "hunter22")
    user = Client(api.url, credentials("hunter22", "user@example.com"))
    for ask in (user.tokens.account, user.tokens.list_tokens):
        with pytest.raises(NotAdminError):
            ask()


def test_logging_in_is_one_call_and_none_while_the_session_is_fresh(
    api: Sandbox, client: Client
) -> None:
    client.tokens.log_in()
    client.tokens.log_in()
    assert paths(api) == [LOGIN]
    client.stopwatch.seconds += 1790
    client.tokens.log_in()
    assert paths(api) == [LOGIN, REFRESH]


def test_logging_in_with_a_wrong_password_is_refused(api: Sandbox) -> None:
    with pytest.raises(LoginRefusedError):
        Client(api.url, MADE_UP).tokens.log_in()


def test_after_a_login_the_time_is_the_servers(timed_api: Sandbox) -> None:
    local = FakeClock(NOON + timedelta(hours=5))
    client = client_of(timed_api, clock=local)
    client.tokens.log_in()
    assert client.tokens.time.now() == NOON
    local.advance(timedelta(minutes=1))
    assert client.tokens.time.now() == NOON + timedelta(minutes=1)
    assert client.tokens.time.now().tzinfo == UTC


def test_without_an_answer_that_tells_it_the_time_is_this_machines(clock: FakeClock) -> None:
    with recorder(answer(200, '{"access_token": "a"}')) as server:
        client = Client(server.url, MADE_UP, clock=clock)
        assert client.tokens.time.now() == NOON
        client.tokens.log_in()
    assert client.tokens.time.now() == NOON


def test_mints_that_wait_for_a_list_of_what_was_there_before_share_it(timed_api: Sandbox) -> None:
    client = client_of(timed_api)
    timed_api.issue()
    found = [client.tokens.known_tokens().ids for _ in range(3)]
    assert found == [frozenset({timed_api.tokens[0].id})] * 3
    assert paths(timed_api).count(LIST) == 1


def test_a_list_of_what_was_there_before_serves_later_mints_only_if_it_is_long(
    timed_api: Sandbox,
) -> None:
    client = client_of(timed_api)
    for rows in (1, 2, 100):
        for _ in range(rows - len(timed_api.tokens)):
            timed_api.issue()
        assert len(client.tokens.known_tokens().ids) == rows
        timed_api.issue()
        client.stopwatch.seconds += 0.0005 * rows
        assert len(client.tokens.known_tokens().ids) == rows
        client.stopwatch.seconds += 0.001 * rows
    assert len(client.tokens.known_tokens().ids) == 101

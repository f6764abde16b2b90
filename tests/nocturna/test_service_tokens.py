from datetime import timedelta

import pytest

from rotator.clock import utc_now
from rotator.errors import (
    ApiFaultError,
    MintOutcomeUnknownError,
    NotFoundError,
    TokenRefusedError,
)
from rotator.tokens import ServiceToken
from tests.nocturna.support import (
    EXCHANGE,
    LOGIN,
    MADE_UP,
    MINT,
    REVOKE,
    Client,
    answer,
    client_of,
    paths,
    recorder,
)
from tests.support.clock import NOON
from tests.support.sandbox import Fault, Sandbox

DAY = timedelta(days=1)


@pytest.mark.parametrize("days", [1, 90, 365])
def test_a_mint_makes_the_token_that_was_asked_for(api: Sandbox, client: Client, days: int) -> None:
    minted = client.tokens.mint(days * DAY, "charts")
    [row] = api.live_tokens()
    assert (minted.secret, minted.token_id, row.scope) == (row.secret, row.id, "charts")
    assert row.expires_at - row.created_at == days * DAY
    assert minted.secret not in repr(minted)


def test_a_mint_without_validity_makes_an_eternal_token(api: Sandbox, client: Client) -> None:
    minted = client.tokens.mint(None, "charts")
    assert ServiceToken.parse(minted.secret).expires_at is None
    assert api.accepts(minted.secret)


@pytest.mark.parametrize(
    "validity",
    [timedelta(), -DAY, DAY / 2, 1.5 * DAY, 366 * DAY, 3_000_000 * DAY],
    ids=str,
)
def test_a_validity_of_which_the_server_makes_nonsense_is_never_sent(
    api: Sandbox, client: Client, validity: timedelta
) -> None:
    with pytest.raises(ValueError, match="whole number of days from 1 to 365"):
        client.tokens.mint(validity, "charts")
    assert api.calls == []


@pytest.mark.parametrize(
    "body",
    [
        [],
        None,
        "text",
        {},
        {"token_id": "t1"},
        {"service_token": "a.b.c"},
        {"service_token": 5, "token_id": "t1"},
        {"service_token": "a.b.c", "token_id": None},
        {"service_token": "a.b.c", "token_id": 5},
        {"service_token": "a.b.c", "token_id": "../t1"},
    ],
    ids=str,
)
def test_a_mint_whose_answer_has_no_token_has_an_unknown_outcome(
    api: Sandbox, client: Client, body: object
) -> None:
    api.misbehave(Fault.json_of(body), call=MINT)
    with pytest.raises(MintOutcomeUnknownError, match="the answer has no token; a token may have"):
        client.tokens.mint(DAY, "charts")
    assert paths(api) == [LOGIN, MINT]


def test_an_exchange_needs_no_admin(api: Sandbox, client: Client) -> None:
    access = client.tokens.exchange(api.issue())
    assert access.lifetime == 1800
    assert access.secret in api.secrets
    assert access.secret not in repr(access)
    assert paths(api) == [EXCHANGE]


def test_an_exchange_of_a_dead_token_is_refused_at_once(api: Sandbox, client: Client) -> None:
    token = api.issue()
    api.revoke(api.tokens[0].id)
    with pytest.raises(TokenRefusedError, match=r"exchange the service token: .*\(401\)"):
        client.tokens.exchange(token)
    assert paths(api) == [EXCHANGE]


def test_an_exchange_that_gives_no_access_token_proves_nothing(
    api: Sandbox, client: Client
) -> None:
    api.misbehave(Fault.json_of({"expires_in": 5}), call=EXCHANGE)
    with pytest.raises(ApiFaultError, match=r"exchange the service token: .* no access token"):
        client.tokens.exchange(api.issue())


def test_a_revoked_token_is_gone(api: Sandbox, client: Client) -> None:
    api.issue()
    client.tokens.revoke(api.tokens[0].id)
    assert api.live_tokens() == []


def test_revoking_what_is_unknown_or_revoked_already_is_told(api: Sandbox, client: Client) -> None:
    api.issue()
    client.tokens.revoke(api.tokens[0].id)
    for token_id in ("unknown", api.tokens[0].id):
        with pytest.raises(NotFoundError):
            client.tokens.revoke(token_id)
    assert [status for _, _, status in api.calls] == [200, 200, 404, 404]


def test_a_revoke_whose_answer_was_lost_is_repeated(api: Sandbox, client: Client) -> None:
    api.issue()
    api.misbehave(Fault.reset_after(), call=REVOKE)
    with pytest.raises(NotFoundError):
        client.tokens.revoke(api.tokens[0].id)
    assert [status for _, _, status in api.calls] == [200, None, 404]


def test_the_difference_between_the_clocks_is_known_after_the_first_answer(
    timed_api: Sandbox,
) -> None:
    client = client_of(timed_api)
    assert client.tokens.time.skew is None
    client.call()
    assert client.tokens.time.skew is not None
    assert abs(client.tokens.time.skew - (utc_now() - NOON)) < timedelta(minutes=1)


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 99 Foo 2026 25:61:00 GMT", "0 0 0 0 0"])
def test_an_answer_without_a_usable_date_tells_nothing_about_the_clocks(date: str) -> None:
    headers = [f"Date: {date}"] if date else []
    with recorder(answer(200, '{"access_token": "a"}', *headers)) as server:
        client = Client(server.url, MADE_UP)
        client.tokens.exchange("a.b.c")
    assert client.tokens.time.skew is None

from datetime import UTC, datetime, timedelta

import jwt
import pytest

from tests.support.sandbox import Sandbox

from .client import EXCHANGE, LIST, MINT, NOON, Client, FakeClock, claims_of


def test_a_mint_answers_200_with_five_fields(api: Sandbox, client: Client, admin: str) -> None:
    reply = client.call(MINT, bearer=admin, order={"days": 90, "scope": "a b", "eternal": False})
    minted = reply.json
    assert reply.status == 200
    assert minted == {
        "service_token": api.tokens[0].secret,
        "expires_at": "2027-02-21T12:00:00.125456",
        "expires_in_days": 90,
        "scope": "a b",
        "token_id": api.tokens[0].id,
    }


def test_a_mint_of_an_empty_object_takes_the_defaults(client: Client, admin: str) -> None:
    minted = client.call(MINT, bearer=admin, order={}).json
    assert (minted["expires_in_days"], minted["scope"]) == (30, "calculations")
    assert "exp" in claims_of(minted["service_token"])


def test_a_service_token_has_its_claims_in_order_and_no_iat(client: Client, admin: str) -> None:
    minted = client.call(MINT, bearer=admin, order={"days": 1}).json
    assert jwt.get_unverified_header(minted["service_token"])["alg"] == "HS256"
    assert list(claims_of(minted["service_token"]).items()) == [
        ("sub", claims_of(admin)["sub"]),
        ("type", "service"),
        ("scope", "calculations"),
        ("token_id", minted["token_id"]),
        ("exp", int((NOON + timedelta(days=1)).timestamp())),
    ]


def test_three_expiries_of_one_token_differ_by_milliseconds(client: Client, admin: str) -> None:
    minted = client.call(MINT, bearer=admin, order={"days": 1}).json
    listed = client.call(LIST, bearer=admin).json[0]
    assert minted["expires_at"] == "2026-11-24T12:00:00.125456"
    assert listed["expires_at"] == "2026-11-24T12:00:00.123456"
    exp = datetime.fromtimestamp(claims_of(minted["service_token"])["exp"], UTC)
    assert exp.isoformat() == "2026-11-24T12:00:00+00:00"


def test_a_date_on_the_full_second_has_no_fraction(
    client: Client, admin: str, clock: FakeClock
) -> None:
    clock.now = NOON.replace(microsecond=0)
    client.call(MINT, bearer=admin, order={"days": 1})
    listed = client.call(LIST, bearer=admin).json[0]
    assert listed["expires_at"] == "2026-11-24T12:00:00"
    assert listed["created_at"] == "2026-11-23T12:00:00"


def test_an_eternal_token_has_no_exp_and_is_listed_a_hundred_years_out(
    api: Sandbox, client: Client, admin: str, clock: FakeClock
) -> None:
    minted = client.call(MINT, bearer=admin, order={"days": 5, "eternal": True}).json
    assert minted["expires_in_days"] == 36500
    assert minted["expires_at"].startswith("2126-10-30T12:00:00")
    assert list(claims_of(minted["service_token"])) == ["sub", "type", "scope", "token_id"]
    listed = client.call(LIST, bearer=admin).json[0]
    assert listed["expires_at"].startswith("2126-10-30T12:00:00")
    assert (listed["days_until_expiry"], listed["is_expired"]) == (36500, False)
    clock.advance(days=3650)
    assert api.accepts(minted["service_token"])


def test_zero_days_give_a_jwt_without_exp_that_is_listed_as_expired(
    api: Sandbox, client: Client, admin: str
) -> None:
    reply = client.call(MINT, bearer=admin, order={"days": 0})
    token = reply.json["service_token"]
    assert (reply.status, reply.json["expires_in_days"]) == (200, 0)
    assert "exp" not in claims_of(token)
    listed = client.call(LIST, bearer=admin).json[0]
    assert (listed["is_expired"], listed["days_until_expiry"]) == (True, 0)
    assert client.call(EXCHANGE, bearer=token).status == 401
    assert not api.accepts(token)
    assert client.call("GET /auth/admin/verify", bearer=token).status == 200


def test_negative_days_give_a_dead_token_with_status_200(
    api: Sandbox, client: Client, admin: str
) -> None:
    reply = client.call(MINT, bearer=admin, order={"days": -5})
    assert (reply.status, reply.json["expires_in_days"]) == (200, -5)
    assert claims_of(reply.json["service_token"])["exp"] < NOON.timestamp()
    assert client.call(EXCHANGE, bearer=reply.json["service_token"]).status == 401
    assert client.call(LIST, bearer=admin).json[0]["days_until_expiry"] == 0
    assert api.live_tokens() == []


@pytest.mark.parametrize("days", [3_000_000, 10**12, None])
def test_days_that_no_date_can_hold_crash_and_mint_nothing(
    api: Sandbox, client: Client, admin: str, days: int | None
) -> None:
    reply = client.call(MINT, bearer=admin, order={"days": days})
    assert (reply.status, reply.json["error"]["code"]) == (500, "INTERNAL_ERROR")
    assert api.tokens == []


@pytest.mark.parametrize(
    ("order", "minted"),
    [
        ({"days": "90"}, (90, "calculations")),
        ({"days": 90.0}, (90, "calculations")),
        ({"days": True}, (1, "calculations")),
        ({"scope": ""}, (30, "")),
        ({"scope": None}, (30, None)),
        ({"eternal": "yes"}, (36500, "calculations")),
        ({"eternal": 1}, (36500, "calculations")),
        ({"eternal": "off", "label": "x"}, (30, "calculations")),
    ],
)
def test_a_mint_coerces_leniently(
    client: Client, admin: str, order: object, minted: tuple[int, str | None]
) -> None:
    answer = client.call(MINT, bearer=admin, order=order).json
    claims = claims_of(answer["service_token"])
    assert (answer["expires_in_days"], answer["scope"]) == minted
    assert claims["scope"] == minted[1]
    assert ("exp" in claims) == (minted[0] != 36500)


def test_a_second_mint_makes_a_second_token(api: Sandbox, client: Client, admin: str) -> None:
    first, second = (client.call(MINT, bearer=admin, order={}).json for _ in range(2))
    assert first["token_id"] != second["token_id"]
    assert [row.id for row in api.live_tokens()] == [first["token_id"], second["token_id"]]

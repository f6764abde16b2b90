from uuid import UUID

import jwt
import pytest

from tests.support.sandbox import BIRTH, Sandbox

from .client import EXCHANGE, LIST, MINT, NOON, Client, FakeClock, claims_of


def test_the_list_is_a_bare_array_without_jwts(api: Sandbox, client: Client, admin: str) -> None:
    token = api.issue(days=3)
    row = api.tokens[0]
    reply = client.call(LIST, bearer=admin)
    assert (reply.status, reply.json) == (
        200,
        [
            {
                "id": row.id,
                "user_id": claims_of(admin)["sub"],
                "scope": "calculations",
                "created_at": "2026-08-28T12:00:00.123456",
                "expires_at": "2026-11-26T12:00:00.123456",
                "last_used_at": None,
                "is_expired": False,
                "days_until_expiry": 3,
            }
        ],
    )
    assert token.encode() not in reply.body
    assert UUID(row.id).version == 4


def test_the_list_is_empty_at_first(client: Client, admin: str) -> None:
    assert client.call(LIST, bearer=admin).json == []


def test_the_list_has_the_newest_first_and_no_paging(
    api: Sandbox, client: Client, admin: str, clock: FakeClock
) -> None:
    for _ in range(60):
        client.call(MINT, bearer=admin, order={})
        clock.advance(microseconds=1)
    api.issue()
    by_age = [row.id for row in sorted(api.tokens, key=lambda row: row.created_at)]
    assert [row["id"] for row in client.call(LIST, bearer=admin).json] == by_age[::-1]


def test_days_until_expiry_is_rounded_down_and_never_negative(
    client: Client, api: Sandbox, admin: str
) -> None:
    for days in (1.9, 0.5, -3):
        api.issue(days=days)
    rows = {row["id"]: row for row in client.call(LIST, bearer=admin).json}
    listed = [rows[row.id] for row in api.tokens]
    assert [row["days_until_expiry"] for row in listed] == [1, 0, 0]
    assert [row["is_expired"] for row in listed] == [False, False, True]


def test_an_exchange_gives_an_access_token_and_the_service_token_back(
    api: Sandbox, client: Client
) -> None:
    token = api.issue(scope="luna")
    reply = client.call(EXCHANGE, bearer=token, body="not even JSON")
    assert reply.status == 200
    assert set(reply.json) == {"access_token", "refresh_token", "expires_in"}
    assert (reply.json["refresh_token"], reply.json["expires_in"]) == (token, 1800)
    assert claims_of(reply.json["access_token"]) == {
        "sub": claims_of(token)["sub"],
        "type": "access",
        "scope": "luna",
        "exp": int(NOON.timestamp()) + 1800,
    }
    assert reply.json["access_token"] == api.access_token_for(token)


def test_only_the_exchange_moves_last_used_at(
    api: Sandbox, client: Client, clock: FakeClock
) -> None:
    token = api.issue()
    client.call("GET /auth/admin/verify", bearer=token)
    client.call("POST /stateless/natal-chart", bearer=token, order=BIRTH)
    assert client.call(LIST, bearer=token).json[0]["last_used_at"] is None
    clock.advance(minutes=1)
    client.call(EXCHANGE, bearer=token)
    assert client.call(LIST, bearer=token).json[0]["last_used_at"] == "2026-11-23T12:01:00.123456"


@pytest.mark.parametrize("kind", ["access", "forged", "unknown id", "no id", "expired", "revoked"])
def test_an_exchange_refuses_all_but_live_service_tokens(
    api: Sandbox, client: Client, admin: str, kind: str
) -> None:
    row_claims = {"sub": claims_of(admin)["sub"], "type": "service", "scope": "x"}
    revoked = api.issue()
    api.revoke(claims_of(revoked)["token_id"])
    token = {
        "access": admin,
        "forged": jwt.encode(claims_of(api.issue()), "k" * 32),
        "unknown id": api.sign(row_claims | {"token_id": "00000000-0000-4000-8000-000000000000"}),
        "no id": api.sign(row_claims),
        "expired": api.issue(expires_at=NOON),
        "revoked": revoked,
    }[kind]
    reply = client.call(EXCHANGE, bearer=token)
    assert reply.refusal == (401, "Could not validate service token")
    assert reply.headers["www-authenticate"] == "Bearer"
    assert not api.accepts(token)


def test_an_exchange_without_a_header_is_not_authenticated(client: Client) -> None:
    assert client.call(EXCHANGE).refusal == (401, "Not authenticated")


def test_a_revocation_succeeds_once(api: Sandbox, client: Client, admin: str) -> None:
    api.issue()
    token_id = api.tokens[0].id
    delete = f"DELETE /auth/admin/service-tokens/{token_id}"
    reply = client.call(delete, bearer=admin)
    message = f"Service token {token_id} revoked"
    assert (reply.status, reply.json) == (200, {"success": True, "message": message})
    assert client.call(delete, bearer=admin).refusal == (404, "Service token not found")
    assert client.call(LIST, bearer=admin).json == []
    assert api.tokens[0].revoked
    assert api.live_tokens() == []


def test_an_expired_token_can_still_be_revoked(api: Sandbox, client: Client, admin: str) -> None:
    api.issue(days=-1)
    delete = f"DELETE /auth/admin/service-tokens/{api.tokens[0].id}"
    assert client.call(delete, bearer=admin).status == 200


def test_an_unknown_id_is_404(client: Client, admin: str) -> None:
    reply = client.call("DELETE /auth/admin/service-tokens/nope", bearer=admin)
    assert reply.refusal == (404, "Service token not found")


def test_a_revoked_token_goes_on_as_a_direct_bearer_until_it_expires(
    api: Sandbox, client: Client, clock: FakeClock
) -> None:
    token = api.issue(days=3)
    access = api.access_token_for(token)
    api.revoke(api.tokens[0].id)
    assert client.call(EXCHANGE, bearer=token).status == 401
    for bearer in (token, access):
        assert client.call("POST /stateless/natal-chart", bearer=bearer, order=BIRTH).status == 200
    clock.advance(days=3)
    assert client.call("POST /stateless/natal-chart", bearer=token, order=BIRTH).status == 401

import jwt
import pytest

from tests.support.sandbox import BIRTH, Sandbox

from .client import NOON, Client, FakeClock, claims_of

SOON = int(NOON.timestamp()) + 60
ADMIN_CALLS = [
    "GET /auth/admin/verify",
    "POST /auth/admin/service-tokens",
    "GET /auth/admin/service-tokens",
    "DELETE /auth/admin/service-tokens/some-id",
]
BEARER_CALLS = [*ADMIN_CALLS, "POST /stateless/natal-chart"]


@pytest.mark.parametrize("call", BEARER_CALLS)
@pytest.mark.parametrize("header", [None, "", "Basic YTpi", "Token abc"])
def test_without_a_bearer_nobody_is_authenticated(
    client: Client, call: str, header: str | None
) -> None:
    reply = client.call(call, headers={} if header is None else {"Authorization": header})
    assert reply.refusal == (401, "Not authenticated")
    assert reply.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("call", BEARER_CALLS)
@pytest.mark.parametrize("bearer", ["", "garbage", "a.b.c", "ey.ey.ey", "x y"])
def test_garbage_is_401(client: Client, call: str, bearer: str) -> None:
    reply = client.call(call, bearer=bearer)
    assert reply.refusal == (401, "Could not validate credentials")
    assert reply.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"sub": "nobody", "exp": SOON}, id="unknown user"),
        pytest.param({"sub": 1, "exp": SOON}, id="sub is no string"),
        pytest.param({"exp": SOON}, id="no sub"),
        pytest.param({"sub": "ADMIN", "exp": int(NOON.timestamp())}, id="expired this second"),
        pytest.param({"sub": "ADMIN", "exp": "soon"}, id="exp is no number"),
        pytest.param({"sub": "ADMIN", "exp": None}, id="exp is null"),
    ],
)
def test_hostile_claims_with_the_right_signature_are_401(
    api: Sandbox, client: Client, admin: str, claims: dict[str, object]
) -> None:
    me = client.call("GET /auth/admin/verify", bearer=admin).json["user_id"]
    token = api.sign({name: me if value == "ADMIN" else value for name, value in claims.items()})
    reply = client.call("GET /auth/admin/verify", bearer=token)
    assert reply.refusal == (401, "Could not validate credentials")


@pytest.mark.parametrize(("algorithm", "key"), [("HS256", "k" * 32), ("none", "")])
def test_a_foreign_signature_is_401(client: Client, admin: str, algorithm: str, key: str) -> None:
    token = jwt.encode(claims_of(admin), key, algorithm=algorithm)
    reply = client.call("GET /auth/admin/verify", bearer=token)
    assert reply.refusal == (401, "Could not validate credentials")


def test_an_access_token_ends_by_the_clock_of_the_server(
    client: Client, admin: str, clock: FakeClock
) -> None:
    clock.advance(seconds=1799)
    assert client.call("GET /auth/admin/verify", bearer=admin).status == 200
    clock.advance(seconds=1)
    assert client.call("GET /auth/admin/verify", bearer=admin).status == 401


@pytest.mark.parametrize("call", ADMIN_CALLS)
def test_whoever_is_no_administrator_is_403(
    api: Sandbox, client: Client, user: str, call: str
) -> None:
    assert client.call(call, bearer=user, order={}).refusal == (403, "Admin privileges required")
    assert api.tokens == []


def test_ordinary_calls_serve_everybody(client: Client, user: str) -> None:
    assert (
        client.call("POST /stateless/natal-chart", bearer=user, order=BIRTH).json["success"] is True
    )


def test_verify_tells_an_administrator_who_they_are(client: Client, admin: str) -> None:
    sub = claims_of(admin)["sub"]
    assert client.call("GET /auth/admin/verify", bearer=admin).json == {
        "is_admin": True,
        "user_id": sub,
        "email": "admin@example.com",
        "username": "admin",
    }


def test_a_service_token_has_the_rights_of_the_administrator_who_minted_it(
    api: Sandbox, client: Client
) -> None:
    token = api.issue(scope="nothing at all")
    assert client.call("GET /auth/admin/verify", bearer=token).status == 200
    assert client.call("POST /auth/admin/service-tokens", bearer=token, order={}).status == 200
    access = api.access_token_for(token)
    assert client.call("GET /auth/admin/service-tokens", bearer=access).status == 200


def test_the_scheme_is_read_in_any_case(client: Client, admin: str) -> None:
    reply = client.call("GET /auth/admin/verify", headers={"Authorization": f"bearer {admin}"})
    assert reply.status == 200


def test_a_new_signing_key_ends_every_token(api: Sandbox, client: Client, admin: str) -> None:
    token = api.issue()
    api.rotate_signing_key()
    for bearer in (admin, token):
        reply = client.call("POST /stateless/natal-chart", bearer=bearer)
        assert reply.refusal == (401, "Could not validate credentials")
    reply = client.call("POST /auth/service-token/refresh", bearer=token)
    assert reply.refusal == (401, "Could not validate service token")
    assert not api.accepts(token)
    assert api.accepts(api.issue())

from urllib.parse import quote

import pytest

from tests.support.sandbox import Sandbox

from .client import NOON, Client, FakeClock, claims_of


def test_a_login_answers_with_three_fields_and_no_token_type(api: Sandbox, client: Client) -> None:
    reply = client.log_in(api.admin_email, api.admin_password)
    assert reply.status == 200
    assert set(reply.json) == {"access_token", "refresh_token", "expires_in"}
    assert reply.json["expires_in"] == 1800


def test_an_access_token_claims_its_user_and_its_end_only(api: Sandbox, client: Client) -> None:
    token = client.log_in(api.admin_email, api.admin_password).json["access_token"]
    me = client.call("GET /auth/admin/verify", bearer=token).json["user_id"]
    assert list(claims_of(token).items()) == [("sub", me), ("exp", int(NOON.timestamp()) + 1800)]


@pytest.mark.parametrize(
    ("email", "password"),
    [
        pytest.param("admin@example.com", "wrong", id="wrong password"),
        pytest.param("nobody@example.com", "secret", id="unknown user"),
        pytest.param("Admin@example.com", "secret", id="other case of the e-mail"),
        pytest.param("admin@example.com ", "secret", id="space after the e-mail"),
        pytest.param("admin@example.com", "secret ", id="space after the password"),
    ],
)
def test_every_wrong_login_gets_the_same_401(email: str, password: str) -> None:
    with Sandbox(admin_password="secret") as api:
        client = Client(api.url)
        reply = client.log_in(email, password)
        client.close()
    assert reply.refusal == (401, "Incorrect email or password")
    assert reply.headers["www-authenticate"] == "Bearer"


def test_a_password_may_hold_any_character() -> None:
    with Sandbox(admin_password="p&=+% ä\U0001f319") as api:
        client = Client(api.url)
        assert client.log_in(api.admin_email, api.admin_password).status == 200
        client.close()


@pytest.mark.parametrize("form", [{"password": "hunter22"}, {"username": "", "password": "x1"}])
def test_a_missing_or_empty_user_name_is_422_and_echoes_the_password(
    client: Client, form: dict[str, str]
) -> None:
    reply = client.call("POST /auth/login", form=form)
    assert reply.refusal == (
        422,
        [
            {
                "type": "missing",
                "loc": ["body", "username"],
                "msg": "Field required",
                "input": form,
            }
        ],
    )


def test_a_login_as_json_is_422_and_echoes_what_was_sent(client: Client) -> None:
    sent = {"username": "admin@example.com", "password": "hunter22"}
    status, problems = client.call("POST /auth/login", order=sent).refusal
    assert status == 422
    assert [(p["type"], p["loc"], p["input"]) for p in problems] == [
        ("missing", ["body", "username"], sent),
        ("missing", ["body", "password"], sent),
    ]


@pytest.mark.parametrize(("body", "echo"), [("", None), ("no json", "no json")])
def test_a_login_without_a_form_is_422(client: Client, body: str, echo: str | None) -> None:
    status, problems = client.call("POST /auth/login", body=body).refusal
    assert (status, [p["input"] for p in problems]) == (422, [echo, echo])


def test_a_refresh_gives_a_new_access_token_and_the_same_refresh_token(
    api: Sandbox, client: Client, clock: FakeClock
) -> None:
    session = client.log_in(api.admin_email, api.admin_password).json
    clock.advance(minutes=31)
    assert client.call("GET /auth/admin/verify", bearer=session["access_token"]).status == 401
    reply = client.call(f"POST /auth/refresh?refresh_token={session['refresh_token']}")
    assert reply.status == 200
    assert set(reply.json) == {"access_token", "refresh_token", "expires_in"}
    assert reply.json["refresh_token"] == session["refresh_token"]
    assert reply.json["expires_in"] == 1800
    assert client.call("GET /auth/admin/verify", bearer=reply.json["access_token"]).status == 200


def test_a_refresh_token_in_the_body_is_not_seen(api: Sandbox, client: Client) -> None:
    token = client.log_in(api.admin_email, api.admin_password).json["refresh_token"]
    for reply in (
        client.call("POST /auth/refresh", order={"refresh_token": token}),
        client.call("POST /auth/refresh", form={"refresh_token": token}),
    ):
        problem = {"type": "missing", "loc": ["query", "refresh_token"], "msg": "Field required"}
        assert reply.refusal == (422, [problem | {"input": None}])


def test_a_refresh_token_lives_seven_days(api: Sandbox, client: Client, clock: FakeClock) -> None:
    token = client.log_in(api.admin_email, api.admin_password).json["refresh_token"]
    clock.advance(days=7, seconds=-1)
    assert client.call(f"POST /auth/refresh?refresh_token={token}").status == 200
    clock.advance(seconds=1)
    reply = client.call(f"POST /auth/refresh?refresh_token={token}")
    assert reply.refusal == (401, "Invalid or expired refresh token")


@pytest.mark.parametrize("token", ["", "garbage", "ä&="])
def test_an_unknown_refresh_token_is_401(client: Client, token: str) -> None:
    assert client.call(f"POST /auth/refresh?refresh_token={quote(token)}").status == 401


def test_a_logout_always_succeeds_and_ends_the_refresh_token_only(
    api: Sandbox, client: Client
) -> None:
    session = client.log_in(api.admin_email, api.admin_password).json
    logout = f"POST /auth/logout?refresh_token={session['refresh_token']}"
    for _ in range(2):
        reply = client.call(logout)
        assert (reply.status, reply.json) == (200, {"success": True})
    assert client.call(logout.replace("logout", "refresh")).status == 401
    assert client.call("GET /auth/admin/verify", bearer=session["access_token"]).status == 200
    assert session["refresh_token"] in api.secrets


def test_lifetimes_are_those_of_the_constructor(clock: FakeClock) -> None:
    with Sandbox(clock=clock, access_lifetime=60, refresh_lifetime=120) as api:
        client = Client(api.url)
        session = client.log_in(api.admin_email, api.admin_password).json
        assert session["expires_in"] == 60
        clock.advance(seconds=120)
        refresh = f"POST /auth/refresh?refresh_token={session['refresh_token']}"
        assert client.call(refresh).status == 401
        client.close()
    assert claims_of(session["access_token"])["exp"] == int(NOON.timestamp()) + 60

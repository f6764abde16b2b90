import pytest

from tests.support.sandbox import Fault, Sandbox

from .client import EXCHANGE, MINT, Client

PAGE = b"<html><head><title>%d</title></head><body>nginx</body></html>"
DATE = "Mon, 23 Nov 2026 12:00:30 GMT"


def test_a_server_error_holds_the_token_that_it_made(
    api: Sandbox, client: Client, admin: str
) -> None:
    api.misbehave(Fault.server_error(), call=MINT)
    reply = client.call(MINT, bearer=admin, order={})
    assert reply.status == 500
    assert list(reply.json) == ["success", "data", "error", "meta"]
    assert (reply.json["success"], reply.json["data"]) == (False, None)
    assert (reply.json["error"]["code"], reply.json["error"]["details"]) == ("INTERNAL_ERROR", None)
    assert reply.json["meta"]["request_id"]
    assert api.live_tokens()[0].secret in reply.json["error"]["message"]


def test_a_server_error_without_work_makes_no_token_but_shows_a_live_one(
    api: Sandbox, client: Client, admin: str
) -> None:
    token = api.issue()
    api.misbehave(Fault.server_error(work=False), call=MINT)
    assert token in client.call(MINT, bearer=admin, order={}).json["error"]["message"]
    assert len(api.tokens) == 1


def test_a_server_error_may_hold_no_token(api: Sandbox, client: Client, admin: str) -> None:
    token = api.issue()
    api.misbehave(Fault.server_error(with_token=False), call=MINT)
    reply = client.call(MINT, bearer=admin, order={})
    assert (reply.status, token.encode() in reply.body) == (500, False)
    assert api.tokens[1].secret.encode() not in reply.body


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        (Fault.too_many(), (429, "1")),
        (Fault.too_many(7), (429, "7")),
        (Fault.unavailable(), (503, None)),
        (Fault.unavailable(30), (503, "30")),
        (Fault.unavailable(DATE), (503, DATE)),
    ],
)
def test_a_proxy_says_when_to_come_back(
    api: Sandbox, client: Client, admin: str, fault: Fault, answer: tuple[int, str | None]
) -> None:
    api.misbehave(fault, call=MINT)
    reply = client.call(MINT, bearer=admin, order={})
    assert (reply.status, reply.headers["retry-after"]) == answer
    assert api.tokens == []


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        (Fault.html(), (502, "text/html", PAGE % 502)),
        (Fault.html(200, work=True), (200, "text/html", PAGE % 200)),
        (Fault.empty_body(), (200, "application/json", b"")),
        (Fault.json_of([1, None]), (200, "application/json", b"[1, null]")),
        (Fault.json_of({}, work=False), (200, "application/json", b"{}")),
        (Fault.status(520, b"?", "text/plain"), (520, "text/plain", b"?")),
        (Fault.status(500), (500, None, b"")),
    ],
)
def test_an_answer_may_be_something_else(
    api: Sandbox, client: Client, admin: str, fault: Fault, answer: tuple[int, str | None, bytes]
) -> None:
    api.misbehave(fault, call=MINT)
    reply = client.call(MINT, bearer=admin, order={})
    assert (reply.status, reply.headers["content-type"], reply.body) == answer
    assert len(api.live_tokens()) == fault.work


def test_a_redirect_leads_elsewhere(api: Sandbox, client: Client) -> None:
    api.misbehave(Fault.redirect("http://evil.example/"))
    reply = client.call("POST /auth/login", form={})
    assert (reply.status, reply.headers["location"]) == (307, "http://evil.example/")


def test_a_broken_database_crashes_all_but_health(api: Sandbox, client: Client, admin: str) -> None:
    token = api.issue()
    api.break_database()
    for call in (MINT, EXCHANGE, "POST /auth/login"):
        reply = client.call(call, bearer=token)
        assert (reply.status, reply.json["error"]["code"]) == (500, "INTERNAL_ERROR")
        client.close()
    assert client.call("GET /health").json == {"status": "healthy"}
    api.heal()
    assert client.call("GET /auth/admin/verify", bearer=admin).status == 200
    assert api.accepts(token)

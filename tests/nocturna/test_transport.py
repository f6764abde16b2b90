import time
from pathlib import Path

import pytest

from rotator.embedded_api.api import ApiResponse
from rotator.errors import ApiError
from rotator.nocturna.api import NotDoneError
from tests.nocturna.support import (
    EXCHANGE,
    LOGIN,
    MADE_UP,
    MINT,
    REFRESH,
    REVOKE,
    Client,
    answer,
    client_of,
    credentials,
    paths,
    recorder,
)
from tests.support.sandbox import Fault, Sandbox

DEAD = "http://127.0.0.1:1"
ACCESS = '{"access_token": "a"}'


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("call", [LOGIN, REFRESH, REVOKE])
def test_a_redirect_is_never_followed(api: Sandbox, client: Client, call: str, status: int) -> None:
    with recorder(answer(200, ACCESS)) as elsewhere:
        if call == REFRESH:
            client.call()
            client.stopwatch.seconds += 1800
        api.misbehave(Fault.redirect(elsewhere.url, status), call=call)
        if call == REFRESH:
            client.call()  # logs in again instead
        else:
            with pytest.raises(ApiError, match=rf"redirects \({status}\)"):
                client.call()
    assert elsewhere.requests == []


@pytest.mark.parametrize("location", ["http://[::1", "//", "", "\x7f", "http://a..b/", "x" * 9000])
def test_where_a_redirect_leads_does_not_matter(
    api: Sandbox, client: Client, location: str
) -> None:
    api.misbehave(Fault.redirect(location), call=EXCHANGE)
    with pytest.raises(ApiError, match=r"redirects \(307\)"):
        client.tokens.exchange(api.issue())


@pytest.mark.parametrize("status", [307, 400, 401, 404])
def test_the_body_of_a_refusal_is_never_read(api: Sandbox, client: Client, status: int) -> None:
    endless = ApiResponse(status, b"{}", "application/json", (("location", "/"),))
    api.misbehave(Fault(work=False, answer=endless, send="padded"), call=EXCHANGE)
    with pytest.raises(ApiError, match=str(status)):
        client.tokens.exchange(api.issue())


def test_the_servers_own_redirect_for_a_slash_is_not_followed(api: Sandbox) -> None:
    client = client_of(api)
    with pytest.raises(ApiError, match="redirects"):
        client.tokens.revoke("")
    assert paths(api) == [LOGIN, "DELETE /auth/admin/service-tokens/"]


@pytest.mark.parametrize("name", [".netrc", "_netrc"])
def test_a_netrc_is_not_used(tmp_path: Path, name: str) -> None:
    netrc = tmp_path / name  # HOME
    netrc.write_text("machine 127.0.0.1 login netrc-user password netrc-password\n")
    netrc.chmod(0o600)
    with recorder(answer(200, ACCESS), answer(200, ACCESS), answer()) as server:
        client = Client(server.url, MADE_UP)
        client.tokens.exchange("service.token.x")
        client.call()
    assert [each.headers.get("authorization") for each in server.requests] == [
        "Bearer service.token.x",
        None,
        "Bearer a",
    ]


def test_cookies_are_not_kept() -> None:
    with recorder(answer(200, ACCESS, "Set-Cookie: session=1; Path=/")) as server:
        client = Client(server.url, MADE_UP)
        for _ in range(2):
            client.tokens.exchange("a.b.c")
    assert [each.headers.get("cookie") for each in server.requests] == [None, None]


def test_a_connection_is_kept_for_the_next_call(api: Sandbox, client: Client) -> None:
    for _ in range(3):
        client.tokens.exchange(api.issue())
    api.misbehave(Fault.drop_idle(), call=EXCHANGE, times=None)
    for _ in range(3):
        client.tokens.exchange(api.issue())
    assert set(paths(api)) == {EXCHANGE}


def test_a_connection_that_was_idle_for_too_long_does_no_harm() -> None:
    with Sandbox(idle_timeout=0.5) as api:
        client = client_of(api)
        client.tokens.mint(None, "charts")
        for _ in range(2):
            client.tokens.exchange(api.issue())
            time.sleep(0.7)
        client.tokens.mint(None, "charts")
        assert paths(api) == [LOGIN, MINT, EXCHANGE, EXCHANGE, MINT]


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "ALL_PROXY"])
def test_a_proxy_from_the_environment_is_used(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    with recorder(answer(200, ACCESS)) as proxy:
        monkeypatch.setenv(variable, proxy.url.removesuffix("/api"))
        Client("http://nocturna.invalid/api", MADE_UP).tokens.exchange("a.b.c")
    [request] = proxy.requests
    assert request.line == ("POST http://nocturna.invalid/api/auth/service-token/refresh HTTP/1.1")


def test_an_api_on_this_machine_is_not_reached_through_a_proxy(
    api: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", DEAD)
    client_of(api).tokens.exchange(api.issue())
    assert paths(api) == [EXCHANGE]


def test_no_proxy_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", DEAD)
    client = Client("http://nocturna.invalid/api", MADE_UP)
    with pytest.raises(ApiError, match="the proxy did not connect; check HTTPS_PROXY and NO_PROXY"):
        client.tokens.exchange("a.b.c")
    monkeypatch.setenv("NO_PROXY", "nocturna.invalid")
    with pytest.raises(ApiError) as caught:
        Client("http://nocturna.invalid/api", MADE_UP).tokens.exchange("a.b.c")
    assert "proxy" not in str(caught.value)


def test_what_a_dead_proxy_did_not_take_was_certainly_not_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", DEAD)
    with pytest.raises(ApiError, match="the proxy did not connect") as caught:
        Client("http://nocturna.invalid/api", MADE_UP).tokens.exchange("a.b.c")
    assert type(caught.value) is NotDoneError


def test_a_proxy_that_wants_a_password_lets_nothing_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with recorder(answer(407)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.removesuffix("/api"))
        with pytest.raises(ApiError, match="the proxy did not connect") as caught:
            Client("https://nocturna.invalid/api", MADE_UP).tokens.exchange("a.b.c")
    assert type(caught.value) is NotDoneError
    assert {each.line.split()[0] for each in proxy.requests} == {"CONNECT"}


def test_a_password_with_every_kind_of_character_arrives(api: Sandbox) -> None:
    password = " &=+%;ä€\t\"'\\ \n"
    api.add_user("odd@example.com", password, is_admin=True)
    Client(api.url, credentials(password, "odd@example.com")).call()
    assert [status for _, _, status in api.calls] == [200, 404]

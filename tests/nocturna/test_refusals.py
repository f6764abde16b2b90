import pytest

from rotator.errors import (
    ApiError,
    ApiFaultError,
    LoginRefusedError,
    NotAdminError,
    NotFoundError,
    TokenRefusedError,
)
from rotator.nocturna.api import (
    EXCHANGE,
    LIST,
    LOGIN,
    MINT,
    REVOKE,
    Call,
    NotDoneError,
    UnauthorizedError,
    error_of_status,
)
from tests.nocturna.support import MADE_UP, Client, answer, client_of, credentials, recorder
from tests.support.sandbox import Fault, Sandbox

URL = "https://nocturna.example/api"


@pytest.mark.parametrize(
    ("call", "status", "kind", "advice"),
    [
        (LOGIN, 401, LoginRefusedError, "check both – the e-mail's upper and lower case count"),
        (REVOKE, 401, UnauthorizedError, "does not accept the admin session"),
        (REVOKE, 403, NotAdminError, "use an admin's e-mail"),
        (EXCHANGE, 403, ApiError, "ask whoever runs the API: is the account locked"),
        (LOGIN, 403, ApiError, "or this machine not allowed?"),
        (LOGIN, 404, ApiError, f"check the API's URL, which ends in /api: {URL}"),
        (REVOKE, 404, NotFoundError, "there is no such token"),
        (REVOKE, 422, ApiError, "is a value empty or wrong?"),
        (LOGIN, 301, ApiError, "use its final URL (https, no slash at the end)"),
        (LOGIN, 308, ApiError, "redirects (308), which is never followed with credentials"),
        (EXCHANGE, 429, NotDoneError, "try again later"),
        (REVOKE, 500, ApiFaultError, "not able to answer now (500); try again later"),
        (REVOKE, 599, ApiFaultError, "not able to answer now (599); try again later"),
        (REVOKE, 204, ApiFaultError, "answered 204 instead of 200"),
        (MINT, 413, ApiError, "let whoever runs it raise its limit"),
        (LOGIN, 407, ApiError, "check the user and password in HTTP_PROXY"),
        (LOGIN, 501, ApiFaultError, f"which the API never does; check the API's URL: {URL}"),
        (LOGIN, 405, ApiError, f"which the API never does; check the API's URL: {URL}"),
        (LOGIN, 418, ApiError, f"which the API never does; check the API's URL: {URL}"),
    ],
)
def test_a_refusal_names_the_call_the_status_and_what_to_do(
    call: Call, status: int, kind: type[ApiError], advice: str
) -> None:
    error = error_of_status(call, status, URL)
    assert type(error) is kind
    assert str(error).startswith(f"{call.doing}: ")
    assert str(status) in str(error)
    assert advice in str(error)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 520, 200 + 4])
def test_what_may_pass_by_itself_is_retryable(status: int) -> None:
    assert error_of_status(REVOKE, status, URL).retryable


@pytest.mark.parametrize("status", [301, 307, 400, 401, 403, 404, 405, 422])
def test_what_somebody_has_to_change_is_not_retryable(status: int) -> None:
    assert not error_of_status(REVOKE, status, URL).retryable


def test_a_wrong_password_is_told_from_a_wrong_rank(api: Sandbox) -> None:
    api.add_user("user@example.com", "hunter22")
    with pytest.raises(LoginRefusedError):
        Client(api.url, credentials("wrong")).call()
    with pytest.raises(
        NotAdminError, match="revoke the service token: the account is not an admin"
    ):
        Client(api.url, credentials("hunter22", "user@example.com")).call()


def test_the_case_of_the_email_counts(api: Sandbox) -> None:
    with pytest.raises(LoginRefusedError):
        Client(api.url, credentials(api.admin_password, "Admin@example.com")).call()


@pytest.mark.parametrize(
    ("email", "password", "what"),
    [
        ("admin@example.com ", "wrong", "the e-mail begins or ends with a blank"),
        ("admin@example.com", " wrong", "the password begins or ends with a blank"),
        (" admin@example.com", "wrong ", "the e-mail and the password begins or ends"),
        ("admin@example.com", "wr\u200bong", "the password holds characters that nobody sees"),
    ],
)
def test_a_blank_around_the_credentials_is_told(
    api: Sandbox, email: str, password: str, what: str
) -> None:
    with pytest.raises(LoginRefusedError, match=rf"\(401\).*; {what}"):
        Client(api.url, credentials(password, email)).call()


def test_an_empty_password_is_an_invalid_request(api: Sandbox) -> None:
    with pytest.raises(ApiError, match=r"log in: .*\(422\); is a value empty"):
        Client(api.url, credentials("")).call()


def test_a_url_without_api_is_advised(api: Sandbox) -> None:
    client = Client(api.url.removesuffix("/api"), credentials(api.admin_password))
    with pytest.raises(ApiError, match="check the API's URL, which ends in /api: http"):
        client.call()


def test_a_url_with_a_slash_too_many_is_an_error_even_for_a_revoke(api: Sandbox) -> None:
    with pytest.raises(ApiError, match="404"):
        Client(f"{api.url}/", credentials(api.admin_password)).call()


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://127.0.0.1:1/api", "nothing listens at the API's address, 127.0.0.1:1; check its"),
        (
            "http://nocturna.invalid/api",
            "the API's host name is not known: nocturna.invalid; check",
        ),
        ("http://a..b/api", "the API's host name is not known: a..b; check its URL"),
        ("http://☃..b/api", "the connection to the API broke"),
    ],
)
def test_a_server_that_is_not_there_is_told_by_its_cause(url: str, text: str) -> None:
    with pytest.raises(ApiError, match=text) as caught:
        Client(url, MADE_UP).call()
    assert str(caught.value).startswith("log in: ")
    assert caught.value.retryable


def test_a_server_that_speaks_no_tls_is_told(api: Sandbox) -> None:
    client = Client(api.url.replace("http:", "https:"), MADE_UP)
    with pytest.raises(ApiError, match="TLS connection to the API failed; check its port"):
        client.call()


def test_the_cause_of_an_earlier_failure_is_not_taken_for_that_of_a_later_one(
    api: Sandbox,
) -> None:
    client = client_of(api)
    elsewhere = Client("http://127.0.0.1:1/api", MADE_UP)
    api.misbehave(Fault.reset_before(), times=None)
    with pytest.raises(ApiError, match="nothing listens"):
        elsewhere.tokens.exchange("a.b.c")
    try:
        elsewhere.tokens.exchange("a.b.c")
    except ApiError:
        with pytest.raises(ApiError, match="the connection to the API broke"):
            client.tokens.exchange("a.b.c")


@pytest.mark.parametrize("challenge", ['Basic realm="gate"', "Negotiate", 'Digest realm="a, b"'])
@pytest.mark.parametrize("call", [LOGIN, EXCHANGE, LIST])
def test_the_401_of_a_proxy_says_nothing_of_the_token_or_the_password(
    call: Call, challenge: str
) -> None:
    with recorder(answer(401, "<html>who?</html>", f"WWW-Authenticate: {challenge}")) as server:
        with pytest.raises(ApiError, match="a proxy in front of the API wants a login") as caught:
            Client(server.url, MADE_UP).http.send(call, bearer="a.b.c")
        assert type(caught.value) is ApiError
        assert len(server.requests) == 1


@pytest.mark.parametrize("challenge", ["Bearer", 'Basic realm="x", bearer', 'bearer realm="x"'])
def test_the_401_of_the_api_is_its_own(challenge: str) -> None:
    with (
        recorder(
            answer(
                401,
                '{"detail": "no"}',
                "Content-Type: application/json",
                f"WWW-Authenticate: {challenge}",
            )
        ) as server,
        pytest.raises(TokenRefusedError),
    ):
        Client(server.url, MADE_UP).tokens.exchange("a.b.c")


@pytest.mark.parametrize("page", ["<html>who?</html>", '{"message": "Unauthorized"}', ""])
@pytest.mark.parametrize("call", [LOGIN, EXCHANGE])
def test_a_401_that_is_not_the_api_s_by_its_form_says_nothing_of_the_token_or_the_password(
    call: Call, page: str
) -> None:
    with recorder(answer(401, page, "Content-Type: application/json")) as server:
        with pytest.raises(ApiError, match="what answers 401 is not the API, by its form") as error:
            Client(server.url, MADE_UP).http.send(call, bearer="a.b.c")
        assert type(error.value) is ApiError


def test_a_403_that_is_not_the_api_s_says_nothing_of_the_account() -> None:
    with recorder(answer(403, "<html>blocked</html>", "Content-Type: text/html")) as server:
        with pytest.raises(ApiError, match="or this machine not allowed") as error:
            Client(server.url, MADE_UP).http.send(LIST, bearer="a.b.c")
        assert type(error.value) is ApiError

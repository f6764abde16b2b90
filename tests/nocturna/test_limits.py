import gzip
import time

import pytest

from rotator.embedded_api.api import ApiResponse
from rotator.errors import ApiError, ApiFaultError, ApiUnreachableError
from rotator.http.client import Limits
from tests.nocturna.support import EXCHANGE, HASTY, MADE_UP, Client, answer, client_of, recorder
from tests.support.sandbox import Fault, Sandbox
from tests.support.waiting import FOREVER, PATIENCE

ONCE = Limits(retries=0)


def failure(api: Sandbox, fault: Fault, limits: Limits = ONCE) -> ApiError:
    api.misbehave(fault, call=EXCHANGE)
    with pytest.raises(ApiError) as caught:
        client_of(api, limits).tokens.exchange(api.issue())
    return caught.value


def test_the_usual_limits_are_seconds_and_not_minutes() -> None:
    assert Limits() == Limits(
        connect=5, read=15, total=60, retries=2, backoff=0.2, longest_pause=15, largest=4 << 20
    )


def test_silence_ends_in_time(api: Sandbox) -> None:
    start = time.monotonic()
    error = failure(api, Fault.delay(FOREVER), HASTY)
    assert time.monotonic() - start < PATIENCE
    assert isinstance(error, ApiUnreachableError)
    assert str(error) == (
        "exchange the service token: the API did not answer in time; try again later"
    )


def test_an_answer_that_drips_ends_in_time(api: Sandbox) -> None:
    start = time.monotonic()
    error = failure(api, Fault.drip(0.02), Limits(total=0.2, retries=0))
    assert time.monotonic() - start < PATIENCE
    assert isinstance(error, ApiUnreachableError)
    assert "did not answer in time" in str(error)


def test_an_answer_that_drips_fast_enough_is_fine(api: Sandbox) -> None:
    api.misbehave(Fault.drip(0.0), call=EXCHANGE)
    assert client_of(api, ONCE).tokens.exchange(api.issue()).secret in api.secrets


@pytest.mark.parametrize("size", [65_536, 64_000_000, None], ids=["64 KiB", "64 MB", "endless"])
def test_a_long_answer_is_cut_off(api: Sandbox, size: int | None) -> None:
    error = failure(api, Fault.huge(size))
    assert isinstance(error, ApiFaultError)
    assert "longer than 65536 B" in str(error)


def test_an_answer_just_short_enough_is_read(api: Sandbox) -> None:
    api.misbehave(Fault.huge(64_000), call=EXCHANGE)
    assert client_of(api, ONCE).tokens.exchange(api.issue()).secret in api.secrets


def test_a_small_answer_that_unpacks_to_a_long_one_is_cut_off(api: Sandbox) -> None:
    bomb = gzip.compress(b" " * 5_000_000)
    packed = ApiResponse(200, bomb, "application/json", (("content-encoding", "gzip"),))
    assert "longer than 65536 B" in str(failure(api, Fault(answer=packed)))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "is not JSON"),
        (b"<html>hello</html>", "is not JSON"),
        (b'{"access_token": "a', "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"[" * 60_000, "is not JSON"),
        (b'{"expires_in": ' + b"9" * 5_000 + b"}", "is not JSON"),
        (b"[]", "has no access token"),
        (b"null", "has no access token"),
        (b'{"access_token": {}}', "has no access token"),
        (b'{"access_token": "\\ud800"}', "has no access token"),
    ],
    ids=[
        "empty",
        "a web page",
        "half of it",
        "no UTF-8",
        "too deep",
        "a long number",
        "a list",
        "null",
        "an object instead of a text",
        "a text that no header takes",
    ],
)
def test_an_answer_that_is_not_what_was_promised_is_a_fault(
    api: Sandbox, body: bytes, text: str
) -> None:
    error = failure(api, Fault.status(200, body, work=True))
    assert isinstance(error, ApiFaultError)
    assert str(error).startswith("exchange the service token: the API's answer ")
    assert text in str(error)


def test_a_truncated_answer_is_a_broken_connection(api: Sandbox) -> None:
    error = failure(api, Fault.truncated())
    assert isinstance(error, ApiUnreachableError)
    assert "the connection to the API broke" in str(error)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"hello\r\n\r\n",
        b"HTTP/1.1 2000000 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        answer(200, "{}", "Content-Encoding: gzip"),
    ],
    ids=[
        "nothing",
        "no HTTP",
        "a strange status",
        "200 headers",
        "a long header",
        "chunks",
        "gzip",
    ],
)
def test_what_is_hardly_http_is_an_error_of_the_api(raw: bytes) -> None:
    with recorder(raw) as server, pytest.raises(ApiError, match="exchange the service token: "):
        Client(server.url, MADE_UP, ONCE).tokens.exchange("a.b.c")

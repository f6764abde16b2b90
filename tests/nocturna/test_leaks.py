"""Whatever the API does, nothing that the client says, shows or logs holds a secret."""

import logging
import traceback
from contextlib import suppress
from datetime import timedelta

import pytest
import requests

from rotator.embedded_api.api import ApiResponse
from rotator.errors import RotatorError
from rotator.http.client import Limits
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
    recorder,
)
from tests.support.sandbox import Fault, Sandbox
from tests.support.waiting import FOREVER, PATIENCE

ECHOED = "{echo}"  # becomes every secret that there is
FAULTS = {
    "500 with a live token": Fault.server_error(),
    "502 web page": Fault.html(502),
    "503": Fault.unavailable(),
    "429": Fault.too_many(),
    "reset before": Fault.reset_before(),
    "reset after": Fault.reset_after(),
    "truncated": Fault.truncated(),
    "empty": Fault.empty_body(),
    "huge": Fault.huge(200_000),
    "no answer": Fault.delay(FOREVER),
    "drip": Fault.drip(0.02),
    "dropped": Fault.drop_idle(),
    "fine": Fault(),
    **{
        f"{status} echo": Fault.status(status)
        for status in (200, 201, 400, 401, 403, 404, 422, 500)
    },
    "redirect echo": Fault.redirect(ECHOED),
    "Retry-After echo": Fault.unavailable(ECHOED),
}


def echoing(fault: Fault, secrets: set[str]) -> Fault:
    """Put every secret into the body and the headers of a fault that has an answer of its own."""
    if fault.answer is None:
        return fault
    echo = " ".join(sorted(secrets))
    headers = tuple((name, value.replace(ECHOED, echo)) for name, value in fault.answer.headers)
    body = fault.answer.body or f'{{"detail": [{{"input": "{echo}"}}]}}'.encode()
    echoed = ApiResponse(fault.answer.status, body, fault.answer.content_type, headers)
    return Fault(work=fault.work, answer=echoed)


def act(client: Client, call: str, token: str) -> object:
    if call == EXCHANGE:
        return client.tokens.exchange(token)
    if call == MINT:
        return client.tokens.mint(timedelta(days=1), "charts")
    client.call()
    return None


def chain(error: BaseException) -> list[str]:
    """Return what an error says, and each that it came from: some reporters show them all."""
    found = [str(error), repr(error)]
    for cause in (error.__cause__, error.__context__):
        found += chain(cause) if cause else []
    return found


@pytest.mark.sample(40)
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
@pytest.mark.parametrize("call", [LOGIN, REFRESH, MINT, EXCHANGE, REVOKE])
def test_no_error_repr_or_log_line_holds_a_secret(
    api: Sandbox, caplog: pytest.LogCaptureFixture, call: str, fault: Fault
) -> None:
    caplog.set_level(logging.DEBUG)
    patience = 0.2 if fault.wait or fault.gap else 60
    client = client_of(api, Limits(total=patience, retries=1, backoff=0.0, longest_pause=0.0))
    token, said = api.issue(), [repr(client.admin), repr(client.tokens), repr(client.credentials)]
    if call in (REFRESH, MINT, REVOKE):
        with suppress(RotatorError):  # only on a machine that is very busy
            client.call()
    if call == REFRESH:
        client.stopwatch.seconds += 1800
    api.misbehave(echoing(fault, api.secrets), call=call, times=None)
    try:
        said.append(repr(act(client, call, token)))
    except RotatorError as error:
        said += [*chain(error), *traceback.format_exception(error)]
    said += caplog.messages
    said.append(caplog.text)
    found = [text for text in said for secret in api.secrets if secret in text]
    assert not found
    assert any("127.0.0.1" in text for text in caplog.messages), "urllib3's lines are among them"


@pytest.mark.parametrize(
    "raw",
    [
        b"%s\r\n\r\n",
        b"HTTP/1.1 %s\r\n\r\n",
        b"HTTP/1.1 200 %s\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n%s\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n %s\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%s\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 503 X\r\nRetry-After: %s\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nDate: %s\r\nContent-Length: 2\r\n\r\n{}",
    ],
    ids=[
        "no HTTP",
        "status",
        "reason",
        "broken header",
        "folded header",
        "length",
        "chunk",
        "encoding",
        "Retry-After",
        "Date",
    ],
)
@pytest.mark.parametrize("call", [REFRESH, MINT])
def test_broken_http_that_repeats_a_token_is_not_repeated(
    caplog: pytest.LogCaptureFixture, call: str, raw: bytes
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "eyJ0.a-refresh-token.c"
    body = f'{{"access_token": "{secret}", "refresh_token": "{secret}"}}'
    with recorder(answer(200, body), answer(), raw.replace(b"%s", secret.encode())) as server:
        client = Client(server.url, MADE_UP, Limits(retries=1, backoff=0.0, longest_pause=0.0))
        client.call()
        client.stopwatch.seconds += 1800 if call == REFRESH else 0
        with pytest.raises(RotatorError) as caught:
            act(client, call, secret)
    said = [*chain(caught.value), *traceback.format_exception(caught.value)]
    said += [*caplog.messages, caplog.text]
    assert not [text for text in said if secret in text]
    assert len(server.requests) >= 3


def test_a_call_that_fails_is_told_by_its_error_alone(caplog: pytest.LogCaptureFixture) -> None:
    client = Client("http://127.0.0.1:1/api", MADE_UP, Limits(retries=2, backoff=0.0))
    with pytest.raises(
        RotatorError, match=r"nothing listens at the API's address, 127\.0\.0\.1:1;"
    ):
        client.call()
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []


def test_log_lines_of_other_requests_are_left_as_they_are(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client.call()
    with recorder(answer()) as elsewhere:
        requests.get(f"{elsewhere.url}?page=2", timeout=PATIENCE)
    assert any("?page=2" in message for message in caplog.messages)

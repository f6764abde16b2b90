import time
from datetime import timedelta
from email.utils import format_datetime

import pytest

from rotator.clock import utc_now
from rotator.embedded_api.api import ApiResponse
from rotator.errors import ApiError, ApiFaultError, ApiUnreachableError
from rotator.http.client import Limits
from rotator.nocturna.api import NotDoneError
from tests.nocturna.support import EXCHANGE, LOGIN, QUICK, REFRESH, REVOKE, Client, client_of, paths
from tests.support.sandbox import Fault, Sandbox
from tests.support.waiting import FOREVER, PATIENCE

PASSING = [
    pytest.param(Fault.reset_before(), id="reset before the work"),
    pytest.param(Fault.reset_after(), id="reset after the work"),
    pytest.param(Fault.server_error(), id="500"),
    pytest.param(Fault.html(502), id="502"),
    pytest.param(Fault.unavailable(), id="503"),
    pytest.param(Fault.html(504), id="504"),
    pytest.param(Fault.too_many(retry_after=None), id="429"),
    pytest.param(Fault.drop_idle(), id="dropped after the answer"),
]


def do(call: str, client: Client, token: str) -> None:
    if call == EXCHANGE:
        client.tokens.exchange(token)
        return
    if call == REFRESH:
        client.stopwatch.seconds += 1800
    client.call()


@pytest.mark.parametrize("fault", PASSING)
@pytest.mark.parametrize("call", [LOGIN, REFRESH, EXCHANGE, REVOKE])
def test_a_call_that_does_no_harm_twice_outlives_two_failures(
    api: Sandbox, client: Client, call: str, fault: Fault
) -> None:
    token = api.issue()
    if call == REFRESH:
        client.call()
    api.misbehave(fault, call=call, times=2)
    do(call, client, token)
    assert api.accepts(token)
    name = call.replace("{id}", "gone")
    assert paths(api).count(name) >= (3 if fault.send != "dropped" else 1)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault.reset_before(), ApiUnreachableError),
        (Fault.server_error(), ApiFaultError),
        (Fault.unavailable(), ApiFaultError),
        (Fault.too_many(retry_after=None), NotDoneError),
    ],
    ids=["reset", "500", "503", "429"],
)
def test_the_third_failure_is_the_last(
    api: Sandbox, client: Client, fault: Fault, kind: type[ApiError]
) -> None:
    api.misbehave(fault, call=EXCHANGE, times=None)
    with pytest.raises(ApiError) as caught:
        client.tokens.exchange(api.issue())
    assert type(caught.value) is kind
    assert caught.value.retryable
    assert paths(api) == [EXCHANGE] * 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 422, 301, 204])
def test_an_answer_that_stays_the_same_is_not_asked_for_again(
    api: Sandbox, client: Client, status: int
) -> None:
    api.misbehave(Fault.status(status), call=EXCHANGE, times=None)
    with pytest.raises(ApiError):
        client.tokens.exchange(api.issue())
    assert paths(api) == [EXCHANGE]


def busy(status: int, retry_after: str) -> Fault:
    return Fault(work=False, answer=ApiResponse(status, b"", None, (("retry-after", retry_after),)))


def tomorrow() -> str:
    return format_datetime(utc_now() + timedelta(days=1), usegmt=True)


@pytest.mark.parametrize("after", [3600, 86400, tomorrow()], ids=["an hour", "a day", "a date"])
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured_up_to_the_longest_pause(
    api: Sandbox, client: Client, after: int | str, status: int
) -> None:
    api.misbehave(busy(status, str(after)), call=EXCHANGE)
    start = time.monotonic()
    client.tokens.exchange(api.issue())
    assert QUICK.longest_pause <= time.monotonic() - start < PATIENCE


@pytest.mark.parametrize(
    "after",
    ["0", "-5", "soon", "1.5", "9" * 5000, "Mon, 01 Jan 2001 00:00:00 GMT", "1 Jan 99999 00:00:00"],
    ids=lambda text: text[:12],
)
def test_a_retry_after_that_is_over_or_makes_no_sense_counts_as_none(
    api: Sandbox, after: str
) -> None:
    client = client_of(api, Limits(backoff=0.0, longest_pause=FOREVER))
    api.misbehave(busy(503, after), call=EXCHANGE)
    start = time.monotonic()
    client.tokens.exchange(api.issue())
    assert time.monotonic() - start < PATIENCE
    assert paths(api) == [EXCHANGE] * 2


def test_later_retries_wait_for_longer(api: Sandbox) -> None:
    client = client_of(api, Limits(backoff=0.05))
    api.misbehave(Fault.unavailable(), call=EXCHANGE, times=2)
    start = time.monotonic()
    client.tokens.exchange(api.issue())
    assert time.monotonic() - start >= 0.1


@pytest.mark.parametrize("status", [500, 503, 429])
@pytest.mark.parametrize("send", ["padded", "dripped"])
def test_a_refusal_without_an_end_is_not_read_before_the_next_try(
    api: Sandbox, status: int, send: str
) -> None:
    client = client_of(api, Limits(read=FOREVER, backoff=0.0))
    endless = Fault(
        work=False,
        answer=ApiResponse(status, b"{" * 1000, "application/json"),
        send="padded" if send == "padded" else "dripped",
        gap=1.0,
    )
    api.misbehave(endless, call=EXCHANGE, times=2)
    start = time.monotonic()
    client.tokens.exchange(api.issue())
    assert time.monotonic() - start < PATIENCE

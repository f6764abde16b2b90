import socket
from collections.abc import Callable
from datetime import timedelta

import pytest

from rotator.clock import utc_now
from rotator.errors import (
    ApiError,
    ApiUnreachableError,
    MintOutcomeUnknownError,
    NotAdminError,
)
from rotator.http.client import Limits
from rotator.nocturna.api import NotDoneError, UnauthorizedError
from tests.nocturna.support import LIST, MINT, Client, client_of, paths
from tests.support.sandbox import Fault, Sandbox
from tests.support.waiting import FOREVER, wait_until

DAY = timedelta(days=1)
UNKNOWN = MintOutcomeUnknownError

# What stands in front of the API answers these, after the API has done the work.
STRANGERS: dict[str, Callable[[int], Fault]] = {
    "a page": lambda status: Fault.html(status, work=True),
    "nothing": lambda status: Fault.status(status, work=True),
    "other JSON": lambda status: Fault.status(status, b'{"message": "no"}', work=True),
    "JSON that is cut off": lambda status: Fault.status(status, b'{"detail": "n', work=True),
    "a list": lambda status: Fault.status(status, b'["detail"]', work=True),
    "a page of JSON": lambda status: Fault.status(
        status, b'{"detail": "no"}', "text/html", work=True
    ),
    "another kind of detail": lambda status: Fault.refusal(
        status, "no" if status == 422 else [{"msg": "no"}], work=True
    ),
    "an odd detail": lambda status: Fault.refusal(status, None, work=True),
}
# Whether the work was done is not for the client to know: both kinds end alike.
FAULTS = [
    pytest.param(Fault.reset_before(), UNKNOWN, 0, id="reset before the work"),
    pytest.param(Fault.reset_after(), UNKNOWN, 1, id="reset after the work"),
    pytest.param(Fault.server_error(), UNKNOWN, 1, id="500 with a live token in it"),
    pytest.param(Fault.server_error(work=False), UNKNOWN, 0, id="500 and nothing done"),
    pytest.param(Fault.html(502), UNKNOWN, 0, id="502 of a proxy"),
    pytest.param(Fault.html(504, work=True), UNKNOWN, 1, id="504 of a proxy"),
    pytest.param(Fault.html(524, work=True), UNKNOWN, 1, id="524 of a proxy that lost patience"),
    pytest.param(Fault.html(200, work=True), UNKNOWN, 1, id="200 and a web page"),
    pytest.param(Fault.status(201, b"{}", work=True), UNKNOWN, 1, id="201 instead of 200"),
    pytest.param(Fault.status(204, work=True), UNKNOWN, 1, id="204 and nothing"),
    pytest.param(Fault.unavailable(), UNKNOWN, 0, id="503"),
    pytest.param(Fault.unavailable(retry_after=0), UNKNOWN, 0, id="503 with Retry-After"),
    pytest.param(Fault.truncated(), UNKNOWN, 1, id="truncated"),
    pytest.param(Fault.empty_body(), UNKNOWN, 1, id="empty"),
    pytest.param(Fault.huge(), UNKNOWN, 1, id="64 MB"),
    pytest.param(Fault.huge(None), UNKNOWN, 1, id="endless"),
    pytest.param(Fault.drip(0.02), UNKNOWN, 1, id="a byte at a time"),
    pytest.param(Fault.delay(FOREVER), UNKNOWN, 1, id="no answer in time"),
    pytest.param(Fault.too_many(), UNKNOWN, 0, id="429"),
    pytest.param(Fault.too_many(retry_after=0), UNKNOWN, 0, id="429 with Retry-After"),
    pytest.param(Fault.redirect("/elsewhere"), UNKNOWN, 0, id="redirect"),
    pytest.param(Fault.html(302, work=True), UNKNOWN, 1, id="302 after the work"),
    pytest.param(Fault.refusal(408, work=True), UNKNOWN, 1, id="408 after the work"),
    pytest.param(Fault.refusal(400, work=True), UNKNOWN, 1, id="400 after the work"),
    pytest.param(Fault.refusal(409, work=True), UNKNOWN, 1, id="409 after the work"),
    pytest.param(Fault.refusal(429, work=True), UNKNOWN, 1, id="429 after the work"),
    *(
        pytest.param(Fault.refusal(status, detail, work=True), UNKNOWN, 1, id=f"{status} after it")
        for status, detail in ((401, "no"), (403, "no"), (404, "no"), (422, [{"msg": "no"}]))
    ),
    *(
        pytest.param(fault(status), UNKNOWN, 1, id=f"{status} with {what}")
        for status in (401, 403, 404, 422)
        for what, fault in STRANGERS.items()
    ),
    pytest.param(Fault.refusal(403), NotAdminError, 0, id="403 of the API"),
    pytest.param(Fault.refusal(404), ApiError, 0, id="404 of the API"),
    pytest.param(Fault.refusal(422, [{"msg": "no"}]), ApiError, 0, id="422 of the API"),
]


@pytest.mark.sample(25)
@pytest.mark.parametrize(("fault", "kind", "made"), FAULTS)
def test_a_mint_is_sent_once_and_the_error_says_whether_a_token_may_exist(
    api: Sandbox, fault: Fault, kind: type[ApiError], made: int
) -> None:
    patience = 1.0 if fault.wait or fault.gap else 60.0
    client = client_of(api, Limits(total=patience, backoff=0.0, longest_pause=0.0))
    client.call()  # logs in, and leaves a connection to be reused
    api.misbehave(fault, call=MINT, times=None)
    with pytest.raises(ApiError) as caught:
        client.tokens.mint(DAY, "charts")
    assert type(caught.value) is kind
    assert ("a token may have been made" in str(caught.value)) == (kind is UNKNOWN)
    wait_until(lambda: len(api.live_tokens()) == made)
    # A call that is still kept waiting is not on the server's list yet.
    assert paths(api).count(MINT) == (0 if fault.wait else 1)


def test_an_unknown_outcome_may_be_tried_again_by_the_next_run() -> None:
    assert UNKNOWN.retryable


def test_a_mint_that_never_reached_the_server_is_a_plain_retryable_error() -> None:
    with Sandbox() as api:
        client = client_of(api)
        client.call()
    with pytest.raises(ApiUnreachableError, match="nothing listens") as caught:
        client.tokens.mint(DAY, "charts")
    assert type(caught.value) is NotDoneError
    assert caught.value.retryable
    assert api.tokens == []


def test_a_mint_whose_connection_is_never_accepted_is_a_plain_retryable_error(
    api: Sandbox,
) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.settimeout(0)
            one.connect_ex(server.getsockname())  # fills the queue
        port = server.getsockname()[1]
        client = client_of(api, Limits(connect=0.05, retries=1, backoff=0.0))
        deaf = Client(f"http://127.0.0.1:{port}/api", client.credentials, client.limits)
        with pytest.raises(NotDoneError, match="log in: the API did not answer in time"):
            deaf.tokens.mint(DAY, "charts")
        for one in waiting:
            one.close()


def test_a_mint_after_a_401_is_sent_again_since_nothing_was_made(
    api: Sandbox, client: Client
) -> None:
    api.misbehave(Fault.refusal(401), call=MINT)
    minted = client.tokens.mint(DAY, "charts")
    assert paths(api).count(MINT) == 2
    assert [row.id for row in api.live_tokens()] == [minted.token_id]


def test_a_refusal_is_believed_beside_a_token_that_was_there_before_or_is_another(
    api: Sandbox, client: Client
) -> None:
    ours = api.issue(scope="charts", created_at=utc_now())
    (row,) = api.tokens
    api.issue(scope="other", created_at=utc_now())
    api.issue(scope="charts")  # yesterday
    api.misbehave(Fault.refusal(403), call=MINT)
    with pytest.raises(NotAdminError):
        client.tokens.mint(DAY, "charts", was_there={row.id}.__contains__)
    assert api.accepts(ours)


def test_a_refusal_is_believed_of_an_api_that_refuses_its_list_as_well(
    api: Sandbox, client: Client
) -> None:
    for call in (MINT, LIST):
        api.misbehave(Fault.refusal(403), call=call)
    with pytest.raises(NotAdminError):
        client.tokens.mint(DAY, "charts")


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_beside_a_list_that_does_not_come_proves_nothing(
    api: Sandbox, client: Client, status: int
) -> None:
    api.misbehave(Fault.refusal(status, work=True), call=MINT, times=None)
    api.misbehave(Fault.html(502), call=LIST, times=None)
    with pytest.raises(UNKNOWN):
        client.tokens.mint(DAY, "charts")
    assert len(api.live_tokens()) == 1


def test_a_mint_that_is_refused_twice_is_not_sent_again(api: Sandbox, client: Client) -> None:
    api.misbehave(Fault.refusal(401), call=MINT, times=None)
    with pytest.raises(UnauthorizedError):
        client.tokens.mint(DAY, "charts")
    assert paths(api).count(MINT) == 2


def test_a_connection_that_the_server_dropped_in_between_does_no_harm(
    api: Sandbox, client: Client
) -> None:
    for _ in range(3):
        api.misbehave(Fault.drop_idle(), times=1)
        client.tokens.mint(DAY, "charts")
    assert len(api.live_tokens()) == 3
    assert paths(api).count(MINT) == 3


def test_a_mint_without_an_answer_in_time_has_one_line(api: Sandbox) -> None:
    client = client_of(api, Limits(read=1, retries=0))
    client.call()
    api.misbehave(Fault.delay(FOREVER), call=MINT)
    with pytest.raises(MintOutcomeUnknownError) as caught:
        client.tokens.mint(DAY, "charts")
    assert str(caught.value) == (
        "mint a service token: the API did not answer in time; try again later; a token may have"
        " been made all the same"
    )

from datetime import timedelta
from typing import Any

import pytest

from rotator.cli.mint import mint_and_verify
from rotator.config.settings import ROTATION_TIMEOUT
from rotator.errors import MintOutcomeUnknownError, RotatorError, VerificationError
from rotator.rotation.mint import new_intent
from rotator.rotation.model import MintRequest
from rotator.rotation.undo import Found, revoke_if_ours
from rotator.stores.journal import Intent, new_mint_id
from rotator.tokens import ServiceToken
from tests.nocturna.support import EXCHANGE, LIST, LOGIN, MINT, REVOKE, VERIFY, client_of, paths
from tests.support.clock import NOON, FakeClock
from tests.support.sandbox import Fault, Sandbox
from tests.unit.jwts import encoded

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
WISH = MintRequest(90 * DAY, "calculations", 7 * DAY)
ETERNAL = MintRequest(None, "calculations", 7 * DAY)


def intent(wish: MintRequest = WISH) -> Intent:
    return new_intent(new_mint_id(), wish, NOON)


def minted(api: Sandbox, wish: MintRequest = WISH) -> ServiceToken:
    return mint_and_verify(client_of(api).tokens, wish, intent(wish), NOON)


def failure(
    api: Sandbox,
    wish: MintRequest = WISH,
    kind: type[RotatorError] = VerificationError,
) -> str:
    with pytest.raises(kind) as caught:
        minted(api, wish)
    assert type(caught.value) is kind
    return str(caught.value)


def answered(
    api: Sandbox, claims: dict[str, object], text: str | None = None, wish: MintRequest = WISH
) -> str:
    """Let the next mint answer with a live token, or the same with other claims; return its id."""
    end = NOON + wish.validity if wish.validity else None
    api.issue(created_at=NOON, expires_at=end, eternal=end is None)
    row = api.tokens[-1]
    usual = {"type": "service", "scope": "calculations", "token_id": row.id}
    secret = api.sign({**usual, "exp": int((NOON + 90 * DAY).timestamp()), **claims})
    body = {"service_token": text or secret, "token_id": row.id}
    api.misbehave(Fault.json_of(body, work=False), call=MINT)
    return row.id


def test_a_new_token_is_proven_by_an_exchange(timed_api: Sandbox) -> None:
    token = minted(timed_api)
    [row] = timed_api.live_tokens()
    assert (token.secret, token.token_id) == (row.secret, row.id)
    assert token.expires_at == NOON + 90 * DAY
    assert row.last_used_at == NOON
    assert paths(timed_api) == [LOGIN, MINT, EXCHANGE]


def test_an_eternal_token_is_proven_too(timed_api: Sandbox) -> None:
    assert minted(timed_api, ETERNAL).expires_at is None
    assert paths(timed_api) == [LOGIN, MINT, EXCHANGE]


EXP = int(NOON.timestamp())


@pytest.mark.parametrize(
    ("wish", "claims", "why"),
    [
        pytest.param(
            WISH,
            {"scope": "charts"},
            "its scope is not the one that was asked for",
            id="another scope",
        ),
        pytest.param(WISH, {"scope": None}, "its scope is not the one", id="no scope"),
        pytest.param(WISH, {"type": "access"}, "this is an access token", id="access token"),
        pytest.param(WISH, {"type": "x"}, "is not a service token", id="another type"),
        pytest.param(WISH, {"exp": "soon"}, "`exp` is not a time", id="no time"),
        pytest.param(WISH, {"exp": EXP - 86400}, "it ends 2026-11-22 12:00 UTC, not", id="dead"),
        pytest.param(WISH, {"exp": EXP + 6 * 86400}, "it ends 2026-11-29", id="due at once"),
        pytest.param(WISH, {"exp": EXP + 88 * 86400}, "not 90 days from now", id="too early"),
        pytest.param(WISH, {"exp": EXP + 92 * 86400}, "not 90 days from now", id="too late"),
        pytest.param(
            MintRequest(DAY, "calculations", timedelta()),
            {"exp": EXP + 17 * 3600},
            "not 1 day from now",
            id="a quarter of a day early",
        ),
        pytest.param(
            MintRequest(8 * DAY, "calculations", 7 * DAY + 20 * HOUR),
            {"exp": EXP + 7 * 86400 + 19 * 3600},
            "not 8 days from now",
            id="near enough, but due at once",
        ),
        pytest.param(ETERNAL, {"exp": EXP}, "it is not eternal", id="not eternal"),
    ],
)
def test_a_token_that_is_not_what_was_asked_for_is_revoked(
    timed_api: Sandbox, wish: MintRequest, claims: dict[str, object], why: str
) -> None:
    token_id = answered(timed_api, claims, wish=wish)
    message = failure(timed_api, wish)
    assert message.startswith(f"the new token {token_id} is not usable: ")
    assert why in message
    assert message.endswith("; it was revoked")
    assert paths(timed_api) == [LOGIN, MINT, LIST, VERIFY, REVOKE.replace("{id}", token_id)]
    assert timed_api.live_tokens() == []


@pytest.mark.parametrize("token_id", ["other", None])
def test_an_answer_that_holds_another_token_than_it_names_is_as_good_as_lost(
    timed_api: Sandbox, token_id: str | None
) -> None:
    named = answered(timed_api, {"token_id": token_id})
    message = failure(timed_api, kind=MintOutcomeUnknownError)
    assert message.startswith(f"the API's answer to a mint names the token {named}, and holds")
    assert paths(timed_api) == [LOGIN, MINT]


@pytest.mark.parametrize(
    "row",
    [
        {"created_at": NOON, "eternal": True},
        {"created_at": NOON, "expires_at": NOON + 30 * DAY},
        {"created_at": NOON, "expires_at": NOON + 90 * DAY, "scope": "charts"},
        {"created_at": NOON - HOUR, "expires_at": NOON + 90 * DAY - HOUR},
    ],
    ids=["eternal", "another life", "another scope", "older"],
)
def test_a_token_that_is_listed_as_another_than_was_asked_for_is_left_alone(
    timed_api: Sandbox, row: dict[str, Any]
) -> None:
    timed_api.issue(**row)
    [theirs] = timed_api.tokens
    body = {"service_token": "no token", "token_id": theirs.id}
    timed_api.misbehave(Fault.json_of(body, work=False), call=MINT)
    assert f"the new token {theirs.id} is not usable" in failure(
        timed_api, kind=MintOutcomeUnknownError
    )
    assert timed_api.live_tokens() == [theirs]


@pytest.mark.parametrize("text", ["changeme", encoded("{}"), "'quoted'", "a b"])
def test_what_is_no_token_at_all_is_revoked_by_its_id(timed_api: Sandbox, text: str) -> None:
    answered(timed_api, {}, text)
    message = failure(timed_api)
    assert text not in message
    assert message.endswith("it was revoked")
    assert timed_api.live_tokens() == []


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (Fault.refusal(401), "the API does not accept it (401)"),
        (Fault.html(200), "the API's answer is not JSON"),
        (Fault.json_of({}), "the API's answer has no access token"),
        (Fault.server_error(), "not able to answer now (500)"),
        (Fault.reset_after(), "the connection to the API broke"),
    ],
    ids=["401", "web page", "empty", "500", "reset"],
)
def test_a_token_that_cannot_be_exchanged_is_revoked(
    timed_api: Sandbox, fault: Fault, why: str
) -> None:
    timed_api.misbehave(fault, call=EXCHANGE, times=None)
    assert why in failure(timed_api)
    assert paths(timed_api)[-1].startswith("DELETE ")
    assert timed_api.live_tokens() == []


def test_a_token_that_cannot_be_revoked_either_is_named(timed_api: Sandbox) -> None:
    token_id = answered(timed_api, {"scope": "charts"})
    timed_api.misbehave(Fault.reset_before(), call=REVOKE, times=None)
    message = failure(timed_api)
    assert "it could not be revoked (revoke the service token: the connection to the" in message
    assert message.endswith(f"revoke {token_id} at the API by hand")
    assert [row.id for row in timed_api.live_tokens()] == [token_id]


@pytest.mark.parametrize(
    ("ahead", "says"),
    [
        (3 * DAY, "this machine's clock is 3 days ahead of the API's: set it right"),
        (-3 * DAY, "this machine's clock is 3 days behind the API's: set it right"),
        (timedelta(), None),
    ],
    ids=["ahead", "behind", "right"],
)
def test_a_wrong_clock_is_told_where_it_explains_a_wrong_expiry(
    timed_api: Sandbox, clock: FakeClock, ahead: timedelta, says: str | None
) -> None:
    client = client_of(timed_api, clock=lambda: clock() + ahead)
    if says is None:
        answered(timed_api, {"exp": EXP})
    with pytest.raises(VerificationError) as caught:
        mint_and_verify(client.tokens, WISH, intent(), clock() + ahead)
    assert ("this machine's clock" in str(caught.value)) == bool(says)
    assert (says or "") in str(caught.value)
    assert timed_api.live_tokens() == []


def test_a_mint_that_fails_is_passed_on_as_it_is(timed_api: Sandbox) -> None:
    timed_api.misbehave(Fault.reset_after(), call=MINT)
    with pytest.raises(MintOutcomeUnknownError):
        minted(timed_api)
    assert paths(timed_api) == [LOGIN, MINT]


def test_giving_back_a_token_that_is_gone_already_is_done(timed_api: Sandbox) -> None:
    gone = intent()._replace(token_id="gone")
    found = revoke_if_ours(client_of(timed_api).tokens, gone, ROTATION_TIMEOUT)
    assert found is Found.GONE


def test_no_message_holds_the_token(timed_api: Sandbox) -> None:
    answered(timed_api, {"scope": "charts"})
    message = failure(timed_api)
    assert not any(secret in message for secret in timed_api.secrets)


def test_an_intent_names_the_newest_tokens_that_look_like_its_own_and_fits_one_aws_tag(
    timed_api: Sandbox,
) -> None:
    for seconds in (90, 1, 2, 0, 3):
        timed_api.issue(
            created_at=NOON - timedelta(seconds=seconds),
            expires_at=NOON + 90 * DAY - timedelta(seconds=seconds),
        )
    timed_api.issue(days=30, created_at=NOON)
    expected = [timed_api.tokens[i].id for i in (2, 1, 3)]
    api = client_of(timed_api, clock=FakeClock(NOON)).tokens
    noted = intent(WISH.after(api.known_tokens()))
    assert list(noted.earlier) == expected
    answered = noted._replace(token_id=expected[0], days=None)
    assert len(answered.to_text()) <= 256
    assert Intent.from_text(answered.to_text()) == answered

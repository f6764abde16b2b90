from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.errors import MalformedTokenError
from rotator.rotation.policy import CHAIN, Inputs, Need, PutBack, Status, Verdict, decide
from tests.support.clock import NOON
from tests.unit.jwts import token

WEEK = timedelta(days=7)
TICK = timedelta(microseconds=1)
NOTHING = timedelta()
HOUR = timedelta(hours=1)
FAULT = MalformedTokenError("quoted", "there are quotes around the token")


def holding(left: timedelta | None) -> Inputs:
    return Inputs(NOON, WEEK, token=token(left))


FINE = holding(timedelta(days=30))
EMPTY = Inputs(NOON, WEEK)

LOST = PutBack("dotenv:///a#X", "old", "new", is_lost=True)

EVERY_VERDICT = [
    pytest.param(EMPTY, "missing", Status.MISSING, Need.MINT, id="no token at all"),
    pytest.param(
        replace(EMPTY, fault=FAULT), "quoted", Status.INVALID, Need.MINT, id="quotes around it"
    ),
    pytest.param(
        replace(FINE, token=replace(FINE.token, token_id=None) if FINE.token else None),
        "no_token_id",
        Status.INVALID,
        Need.MINT,
        id="no id",
    ),
    pytest.param(
        replace(FINE, refused=True),
        "refused",
        Status.REFUSED,
        Need.MINT,
        id="refused by the server",
    ),
    pytest.param(holding(-WEEK), "expired", Status.EXPIRED, Need.MINT, id="over since a week"),
    pytest.param(holding(-TICK), "expired", Status.EXPIRED, Need.MINT, id="over since a tick"),
    pytest.param(holding(NOTHING), "expired", Status.EXPIRED, Need.MINT, id="exactly nothing left"),
    pytest.param(holding(TICK), "last_day", Status.DUE, Need.MINT, id="a tick left"),
    pytest.param(holding(20 * HOUR), "last_day", Status.DUE, Need.MINT, id="0 days left"),
    pytest.param(
        holding(24 * HOUR - TICK), "last_day", Status.DUE, Need.MINT, id="just under a day"
    ),
    pytest.param(holding(24 * HOUR), "expiring", Status.DUE, Need.MINT, id="exactly a day"),
    pytest.param(holding(WEEK - TICK), "expiring", Status.DUE, Need.MINT, id="a tick under a week"),
    pytest.param(holding(WEEK), "ok", Status.OK, Need.NOTHING, id="exactly a week"),
    pytest.param(holding(WEEK + TICK), "ok", Status.OK, Need.NOTHING, id="a tick over a week"),
    pytest.param(
        replace(FINE, scope="charts"), "scope", Status.DUE, Need.MINT, id="another scope configured"
    ),
    pytest.param(
        replace(FINE, scope="calculations"),
        "ok",
        Status.OK,
        Need.NOTHING,
        id="its scope configured",
    ),
    pytest.param(replace(FINE, forced=True), "forced", Status.DUE, Need.MINT, id="forced"),
    pytest.param(replace(FINE, lacking=1), "behind", Status.DUE, Need.COPY, id="one store behind"),
    pytest.param(
        replace(FINE, put_back=LOST), "put_back", Status.DUE, Need.MINT, id="put back once"
    ),
    pytest.param(
        replace(FINE, put_back=LOST._replace(is_repeated=True)),
        "put_back",
        Status.DUE,
        Need.HELP,
        id="put back again",
    ),
    pytest.param(
        replace(FINE, put_back=LOST._replace(is_repeated=True), refused=True),
        "put_back",
        Status.REFUSED,
        Need.HELP,
        id="put back again, and revoked meanwhile",
    ),
    pytest.param(
        replace(holding(-TICK), put_back=LOST),
        "put_back",
        Status.EXPIRED,
        Need.MINT,
        id="put back, and over",
    ),
    pytest.param(
        replace(FINE, put_back=LOST._replace(is_lost=False), lacking=1),
        "put_back",
        Status.DUE,
        Need.COPY,
        id="put back where the newer one is known",
    ),
    pytest.param(
        replace(FINE, put_back=LOST._replace(is_repeated=True), forced=True),
        "forced",
        Status.DUE,
        Need.MINT,
        id="put back again, and forced",
    ),
    pytest.param(holding(None), "eternal", Status.ETERNAL, Need.NOTHING, id="eternal"),
    pytest.param(
        replace(holding(12 * HOUR), renew_before=2 * HOUR),
        "ok",
        Status.OK,
        Need.NOTHING,
        id="a margin under a day is obeyed on the last day",
    ),
    pytest.param(
        replace(FINE, ends_at=NOON),
        "deleted",
        Status.EXPIRED,
        Need.MINT,
        id="a store is deleting it",
    ),
    pytest.param(
        replace(holding(None), ends_at=NOON + WEEK - TICK),
        "expiring",
        Status.DUE,
        Need.MINT,
        id="eternal, and a store deletes it soon",
    ),
    pytest.param(
        replace(FINE, ends_at=NOON + HOUR),
        "last_day",
        Status.DUE,
        Need.MINT,
        id="a store deletes it within the day",
    ),
    pytest.param(
        replace(holding(-TICK), ends_at=NOON + WEEK),
        "expired",
        Status.EXPIRED,
        Need.MINT,
        id="over before a store deletes it",
    ),
    pytest.param(
        replace(FINE, ends_at=NOON + 8 * WEEK), "ok", Status.OK, Need.NOTHING, id="deleted later"
    ),
]


@pytest.mark.parametrize(("inputs", "reason", "status", "need"), EVERY_VERDICT)
def test_a_verdict_has_a_status_a_reason_and_a_need(
    inputs: Inputs, reason: str, status: Status, need: Need
) -> None:
    verdict = decide(inputs)
    assert (verdict.reason, verdict.status, verdict.need) == (reason, status, need)
    assert verdict.message
    assert "\n" not in verdict.message


def test_each_check_of_the_chain_gives_a_verdict_in_the_table_above() -> None:
    inputs: list[Inputs] = [param.values[0] for param in EVERY_VERDICT]  # type: ignore[misc]

    def first_to_object(given: Inputs) -> object:
        return next(check for check in CHAIN if check(given))

    assert {first_to_object(each) for each in inputs} == set(CHAIN)


ALL_AT_ONCE = replace(
    EMPTY, refused=True, scope="charts", forced=True, lacking=2, token=token(-WEEK), fault=FAULT
)
LATER_AND_LATER = [
    (replace(EMPTY, refused=True, forced=True, lacking=2), "missing"),
    (replace(ALL_AT_ONCE, token=None), "quoted"),
    (ALL_AT_ONCE, "refused"),
    (replace(ALL_AT_ONCE, refused=False), "expired"),
    (replace(ALL_AT_ONCE, refused=False, token=token(HOUR)), "last_day"),
    (replace(ALL_AT_ONCE, refused=False, token=token(WEEK - HOUR)), "expiring"),
    (replace(ALL_AT_ONCE, refused=False, token=token(2 * WEEK)), "scope"),
    (replace(ALL_AT_ONCE, refused=False, token=token(2 * WEEK), scope=None), "forced"),
    (replace(EMPTY, token=token(None), lacking=2), "behind"),
    (replace(EMPTY, token=token(None)), "eternal"),
    (replace(EMPTY, token=token(2 * WEEK)), "ok"),
]


@pytest.mark.parametrize(("inputs", "reason"), LATER_AND_LATER, ids=[r for _, r in LATER_AND_LATER])
def test_the_first_check_that_objects_wins(inputs: Inputs, reason: str) -> None:
    assert decide(inputs).reason == reason


DUE = holding(HOUR)


def minted(ago: timedelta, inputs: Inputs = DUE) -> Inputs:
    return replace(inputs, minted_at=NOON - ago)


@pytest.mark.parametrize(
    ("inputs", "need"),
    [
        pytest.param(minted(NOTHING), Need.PATIENCE, id="this moment"),
        pytest.param(minted(HOUR - TICK), Need.PATIENCE, id="just under an hour ago"),
        pytest.param(minted(HOUR), Need.MINT, id="exactly an hour ago"),
        pytest.param(minted(-TICK), Need.MINT, id="in the future: that clock was wrong"),
        pytest.param(replace(minted(TICK), forced=True), Need.MINT, id="just now, but forced"),
        pytest.param(minted(TICK, holding(-HOUR)), Need.PATIENCE, id="just now, and over already"),
        pytest.param(minted(TICK, replace(FINE, refused=True)), Need.MINT, id="but refused"),
        pytest.param(minted(TICK, replace(FINE, lacking=1)), Need.COPY, id="and to be copied"),
        pytest.param(minted(TICK, FINE), Need.NOTHING, id="and fine"),
    ],
)
def test_a_token_minted_less_than_an_hour_ago_is_not_replaced_unless_forced(
    inputs: Inputs, need: Need
) -> None:
    verdict = decide(inputs)
    assert verdict.need is need
    assert ("left alone" in verdict.message) == (need is Need.PATIENCE)
    assert verdict.reason == decide(replace(inputs, minted_at=None)).reason


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (holding(20 * HOUR), "expires within the day, in 20 hours (2026-11-24 08:00 UTC)"),
        (
            holding(timedelta(days=3)),
            "expires in 3 days (2026-11-26 12:00 UTC); renewed below 7 days",
        ),
        (holding(-3 * HOUR), "expired 3 hours ago (2026-11-23 09:00 UTC)"),
        (replace(FINE, lacking=2), "2 stores do not hold the current token"),
        (replace(FINE, lacking=1), "1 store does not hold the current token"),
        (
            replace(
                FINE, put_back=LOST._replace(is_repeated=True, changed_at=NOON, owner="Flux (a)")
            ),
            (
                "the old token old was put back again into dotenv:///a#X in the place of new (last"
                " changed 2026-11-23 12:00 UTC); Flux (a) writes it: stop that, or let it leave"
                " this value alone, then run rotate --force; no other token is minted"
            ),
        ),
        (replace(FINE, scope="a\nb"), r"the token's scope is not the configured 'a\nb'"),
    ],
)
def test_a_message_is_a_sentence_for_people(inputs: Inputs, message: str) -> None:
    assert decide(inputs).message == message


def test_deciding_changes_nothing_and_repeats_itself() -> None:
    inputs = holding(HOUR)
    verdict = decide(inputs)
    assert isinstance(verdict, Verdict)
    assert decide(inputs) == verdict

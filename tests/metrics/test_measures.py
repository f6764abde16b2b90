"""What is measure of a token, through the text of `/metrics`."""

from datetime import timedelta

import pytest

from rotator.rotation.model import Action, StoreReport, StoreState
from rotator.rotation.policy import Status
from tests.metrics.support import (
    LAST_MONTH,
    every_metric,
    failed,
    look,
    shown,
    token_states,
    unknown,
)
from tests.support.clock import NOON

ABOUT_THE_TOKEN = (
    "token_working",
    "stores_behind",
    "unsettled",
    "laggards",
    "old_token_last_used_timestamp_seconds",
    "hook_failures",
)


def test_a_failing_token_tells_everything() -> None:
    numbers = {
        name: found["luna"] for name, found in shown(every_metric()).items() if "luna" in found
    }
    assert numbers == {
        "token_expiry_timestamp_seconds": NOON.timestamp() + 10 * 86400,
        "token_seconds_left": 10 * 86400,
        "token_working": 1,
        "last_attempt_timestamp_seconds": NOON.timestamp(),
        "last_success_timestamp_seconds": LAST_MONTH.timestamp(),
        "failing": 1,
        "attempts_left": 4,
        "stores_behind": 1,
        "unsettled": 2,
        "laggards": 2,
        "old_token_last_used_timestamp_seconds": NOON.timestamp() - 2 * 3600,
        "hook_failures": 3,
        "run_duration_seconds": 2,
    }


def test_counters_count_by_reason_and_the_usual_one_begins_with_zero() -> None:
    numbers = shown(
        token_states(
            look(Action.KEPT),
            look(Action.ROTATED, reason="forced"),
            look(Action.ROTATED, reason="forced"),
            failed(),
            failed(failure="store-denied"),
            failed(),
        )
    )
    assert numbers["rotations_total"] == {"luna/expiring": 0, "luna/forced": 2}
    assert numbers["failures_total"] == {"luna/api-fault": 2, "luna/store-denied": 1}


def test_the_life_that_is_left_is_counted_at_each_scrape() -> None:
    found = token_states(look(Action.KEPT))
    assert shown(found, NOON + timedelta(days=1))["token_seconds_left"] == {"luna": 9 * 86400}
    assert shown(found, NOON + timedelta(days=11))["token_seconds_left"] == {"luna": -86400}


def test_a_token_that_nobody_has_looked_at_says_nothing() -> None:
    assert shown({"luna": None}) == {"build_info": {"": 1}, "config_reload_failed": {"": 0}}


def test_an_eternal_token_works_and_has_no_end() -> None:
    numbers = shown(token_states(look(Action.KEPT, Status.ETERNAL, expires_at=None)))
    assert numbers["token_working"] == {"luna": 1}
    assert "token_expiry_timestamp_seconds" not in numbers
    assert "token_seconds_left" not in numbers


def test_while_no_store_can_be_read_nothing_is_said_of_the_token_but_its_last_known_end() -> None:
    known = [
        look(Action.KEPT, ended_at=LAST_MONTH, expires_at=LAST_MONTH),
        look(Action.KEPT),
    ]
    numbers = shown(token_states(*known, unknown(), unknown()), NOON + timedelta(days=9))
    assert numbers["failing"] == {"luna": 1}
    assert numbers["token_expiry_timestamp_seconds"] == {"luna": NOON.timestamp() + 10 * 86400}
    assert numbers["token_seconds_left"] == {"luna": 86400}
    assert [name for name in ABOUT_THE_TOKEN if name in numbers] == []


def test_the_end_of_a_token_that_was_never_read_is_not_known() -> None:
    numbers = shown(token_states(unknown()))
    assert "token_expiry_timestamp_seconds" not in numbers
    assert "token_seconds_left" not in numbers


def test_a_token_that_is_gone_has_no_end_any_more() -> None:
    gone = failed(Status.MISSING, expires_at=None)
    assert "token_expiry_timestamp_seconds" not in shown(
        token_states(look(Action.KEPT), gone, unknown())
    )


@pytest.mark.parametrize(
    ("action", "status", "working"),
    [
        (Action.KEPT, Status.OK, 1),
        (Action.SKIPPED, Status.DUE, 1),
        (Action.FAILED, Status.DUE, 1),
        (Action.ROTATED, Status.EXPIRED, 1),
        (Action.ROTATED, Status.MISSING, 1),
        (Action.CONVERGED, Status.DUE, 1),
        (Action.FAILED, Status.EXPIRED, 0),
        (Action.FAILED, Status.MISSING, 0),
        (Action.FAILED, Status.INVALID, 0),
        (Action.SKIPPED, Status.INVALID, 0),
        (Action.FAILED, Status.REFUSED, 0),
    ],
)
def test_a_bot_has_a_working_token(action: Action, status: Status, working: int) -> None:
    assert shown(token_states(look(action, status)))["token_working"] == {"luna": working}


def test_a_token_that_ended_since_the_last_look_works_no_more() -> None:
    found = token_states(look(Action.KEPT))
    assert shown(found, NOON + timedelta(days=10))["token_working"] == {"luna": 0}


def test_a_store_is_behind_when_it_holds_an_older_token_or_none() -> None:
    states = [StoreState.WRITTEN, StoreState.ABSENT, StoreState.BEHIND, StoreState.UNREACHABLE]
    stores = tuple(StoreReport(f"x:{state}", state) for state in states)
    assert shown(token_states(look(Action.ROTATED, stores=stores)))["stores_behind"] == {"luna": 2}


def test_a_clock_that_was_set_back_makes_no_negative_duration() -> None:
    backwards = look(Action.KEPT)._replace(ended_at=NOON - timedelta(hours=1))
    assert shown(token_states(backwards))["run_duration_seconds"] == {"luna": 0}

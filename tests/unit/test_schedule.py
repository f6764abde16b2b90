from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.clock import Draw
from rotator.daemon.scheduler import next_delay
from rotator.rotation.policy import Status
from rotator.rotation.report import Report

WEEK = timedelta(days=7)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


def lowest(low: float, high: float) -> float:
    del high
    return low


def highest(low: float, high: float) -> float:
    del low
    return high


def report(left: timedelta | None) -> Report:
    seconds = None if left is None else left.total_seconds()
    return Report("luna-bot", Status.OK, "ok", "fine", seconds_left=seconds)


DRAWS = st.sampled_from([lowest, highest])
FAILURES = st.integers(1, 10_000)
LIVES = st.timedeltas(timedelta(minutes=-9), timedelta(days=400))


@pytest.mark.parametrize("left", [None, 30 * 24 * HOUR, -HOUR, 2 * HOUR])
def test_a_token_is_looked_at_about_every_hour(left: timedelta | None) -> None:
    assert next_delay(report(left), WEEK, 0, lowest) == 0.9 * HOUR
    assert next_delay(report(left), WEEK, 0, highest) == HOUR


@pytest.mark.parametrize("draw", [lowest, highest])
@pytest.mark.parametrize("before", [timedelta(), timedelta(microseconds=1), 20 * SECOND, HOUR / 2])
def test_a_token_that_becomes_due_within_the_hour_is_looked_at_just_after_that(
    before: timedelta, draw: Draw
) -> None:
    wait = next_delay(report(WEEK + before), WEEK, 0, draw)
    assert before + SECOND <= wait <= before + 31 * SECOND


@given(LIVES, DRAWS)
def test_nobody_waits_for_more_than_an_hour(left: timedelta, draw: Draw) -> None:
    assert timedelta() < next_delay(report(left), WEEK, 0, draw) <= HOUR


@given(FAILURES, st.timedeltas(timedelta(seconds=2), timedelta(days=400)), DRAWS)
def test_a_retry_never_outlasts_the_token(failures: int, left: timedelta, draw: Draw) -> None:
    assert next_delay(report(left), WEEK, failures, draw) < left


@given(FAILURES, LIVES | st.none(), DRAWS)
def test_a_retry_comes_within_the_hour_and_not_at_once(
    failures: int, left: timedelta | None, draw: Draw
) -> None:
    assert SECOND <= next_delay(report(left), WEEK, failures, draw) <= HOUR


@pytest.mark.parametrize("left", [None, timedelta(days=3), -HOUR], ids=str)
def test_pauses_between_retries_double_up_to_an_hour(left: timedelta | None) -> None:
    pauses = [next_delay(report(left), WEEK, failures, highest) for failures in range(1, 10)]
    assert [wait // SECOND for wait in pauses] == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]


def test_retries_are_jittered_by_up_to_a_half() -> None:
    assert next_delay(report(None), WEEK, 1, lowest) == 15 * SECOND


def test_three_tries_fit_into_what_is_left() -> None:
    assert next_delay(report(timedelta(minutes=3)), WEEK, 9, highest) == timedelta(minutes=1)

from datetime import timedelta

import pytest

from rotator.nocturna.api import ServerTime
from tests.nocturna.support import Stopwatch
from tests.support.clock import NOON, FakeClock

DATE = "Mon, 23 Nov 2026 09:00:00 GMT"
THREE_HOURS = timedelta(hours=3)


def told(clock: FakeClock, stopwatch: Stopwatch, *dates: str | None) -> ServerTime:
    time = ServerTime(clock, stopwatch)
    for date in dates:
        time.adopt(date)
    return time


def test_before_the_first_date_it_is_this_machines_time(clock: FakeClock) -> None:
    time = told(clock, Stopwatch())
    assert (time.now(), time.skew, time.is_doubtful) == (NOON, None, False)


def test_from_then_on_it_is_the_servers(clock: FakeClock) -> None:
    stopwatch = Stopwatch()
    time = told(clock, stopwatch, DATE)
    clock.advance(timedelta(minutes=5))
    stopwatch.seconds += 300
    assert time.now() == NOON - THREE_HOURS + timedelta(minutes=5)
    assert not time.is_doubtful


@pytest.mark.parametrize(
    "date",
    [None, "", "soon", "Fri, 31 Dec 9999 23:59:30 GMT", "Thu, 01 Jan 1970 00:00:00 GMT"],
)
def test_a_date_that_is_none_or_of_another_age_changes_nothing(
    clock: FakeClock, date: str | None
) -> None:
    assert told(clock, Stopwatch(), DATE, date).now() == NOON - THREE_HOURS


@pytest.mark.parametrize("step", [timedelta(hours=5), -timedelta(hours=5)])
def test_a_clock_that_was_set_makes_it_doubtful(clock: FakeClock, step: timedelta) -> None:
    time = told(clock, Stopwatch(), DATE)
    clock.advance(step)
    assert time.is_doubtful
    time.adopt(DATE)
    assert not time.is_doubtful

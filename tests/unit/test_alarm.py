from datetime import timedelta

import pytest

from rotator.daemon.scheduler import HOURLY
from rotator.rotation.policy import Status
from rotator.rotation.report import Report
from rotator.rotation.severity import FOUR_A_DAY, Severity, with_severity

DAY = timedelta(days=1)
WEEK = 7 * DAY
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def failed(left: timedelta | None, status: Status = Status.DUE) -> Report:
    seconds = None if left is None else left.total_seconds()
    return Report("luna-bot", status, "why", "message", seconds_left=seconds, error="it broke")


@pytest.mark.parametrize(
    ("left", "level", "says"),
    [
        (6.5 * DAY, Severity.WARNING, "6 days: 26 attempts left"),
        (3.5 * DAY, Severity.WARNING, "3 days: 14 attempts left"),
        (3.5 * DAY - MINUTE, Severity.ERROR, "3 days: 14 attempts left"),
        (3 * DAY, Severity.ERROR, "3 days: 12 attempts left"),
        (3 * DAY - 2 * MINUTE, Severity.ERROR, "2 days: 11 attempts left"),
        (DAY, Severity.ERROR, "1 day: 4 attempts left"),
        (DAY - MINUTE, Severity.CRITICAL, "23 hours: 4 attempts left"),
        (7 * HOUR, Severity.CRITICAL, "7 hours: 1 attempt left"),
        (5 * HOUR, Severity.CRITICAL, "5 hours: no attempts left"),
    ],
)
def test_with_four_runs_a_day_the_level_rises_as_the_end_comes(
    left: timedelta, level: Severity, says: str
) -> None:
    report = with_severity(failed(left), WEEK, FOUR_A_DAY)
    assert report.level == level
    assert report.error == f"it broke; the token still lives {says}, with four runs a day"


@pytest.mark.parametrize(
    ("left", "level", "attempts"),
    [
        (6 * DAY, Severity.WARNING, 144),
        (3 * DAY, Severity.ERROR, 72),
        (DAY, Severity.ERROR, 24),
        (DAY - MINUTE, Severity.CRITICAL, 23),
        (MINUTE, Severity.CRITICAL, 3),
    ],
)
def test_a_daemon_has_more_attempts(left: timedelta, level: Severity, attempts: int) -> None:
    report = with_severity(failed(left), WEEK, HOURLY)
    assert report.level == level
    assert f"{attempts} attempts left, with at least one an hour" in str(report.error)


def test_an_eternal_token_that_is_to_be_replaced_is_no_emergency() -> None:
    report = with_severity(failed(None, Status.DUE), WEEK, FOUR_A_DAY)
    assert (report.level, report.error) == (Severity.WARNING, "it broke")


@pytest.mark.parametrize("status", [Status.MISSING, Status.INVALID, Status.REFUSED, Status.EXPIRED])
def test_a_bot_without_a_working_token_is_critical(status: Status) -> None:
    report = with_severity(failed(None, status), WEEK, FOUR_A_DAY)
    assert (report.level, report.error) == (
        Severity.CRITICAL,
        "it broke; the bot has no working token",
    )


def test_a_token_that_ended_while_it_was_tried_is_critical() -> None:
    assert with_severity(failed(-MINUTE), WEEK, FOUR_A_DAY).level == Severity.CRITICAL


def test_where_no_store_answers_nobody_can_tell() -> None:
    report = with_severity(failed(None, Status.UNKNOWN), WEEK, FOUR_A_DAY)
    assert report.level == Severity.ERROR
    assert str(report.error).endswith("it is not known how long the token still lives")


@pytest.mark.parametrize("status", [Status.OK, Status.ETERNAL])
def test_what_does_not_threaten_the_token_is_a_warning_without_a_deadline(status: Status) -> None:
    report = with_severity(failed(60 * DAY, status), WEEK, FOUR_A_DAY)
    assert (report.level, report.error) == (Severity.WARNING, "it broke")


def test_where_nothing_failed_there_is_no_alarm() -> None:
    fine = failed(DAY)._replace(error=None)
    assert with_severity(fine, WEEK, FOUR_A_DAY) == fine

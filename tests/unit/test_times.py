from datetime import UTC, datetime, timedelta, timezone

import pytest

from rotator.clock import in_words, minute, parse_duration, rfc3339, utc_now
from rotator.stores.port import parse_moment


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("7d", timedelta(days=7)),
        ("12h", timedelta(hours=12)),
        ("90m", timedelta(minutes=90)),
        ("30s", timedelta(seconds=30)),
        ("999999d", timedelta(days=999_999)),
    ],
)
def test_a_duration_is_a_number_and_a_unit(text: str, span: timedelta) -> None:
    assert parse_duration(text) == span


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7",
        "d",
        "0d",
        "07d",
        "-7d",
        "7D",
        "7 d",
        " 7d",
        "7d\n",
        "1.5d",
        "7d12h",
        "0s",
        "5ms",
        "5S",
        "٣d",
        "1000000d",
    ],
)
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="7d, 12h, 90m or 30s"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(), "0 seconds"),
        (timedelta(milliseconds=999), "0 seconds"),
        (timedelta(seconds=1), "1 second"),
        (timedelta(seconds=59), "59 seconds"),
        (timedelta(seconds=60), "1 minute"),
        (timedelta(minutes=59, seconds=29), "59 minutes"),
        (timedelta(minutes=59, seconds=31), "1 hour"),
        (timedelta(hours=23, minutes=59), "23 hours"),
        (timedelta(days=1), "1 day"),
        (timedelta(days=2) - timedelta(minutes=1), "1 day"),
        (timedelta(days=90) - timedelta(seconds=1), "90 days"),
        (timedelta(days=-3), "3 days"),
    ],
    ids=str,
)
def test_a_span_is_told_in_its_largest_unit(span: timedelta, words: str) -> None:
    assert in_words(span) == words


LOCAL = datetime(2026, 11, 23, 1, 2, 3, 999_999, tzinfo=timezone(timedelta(hours=3)))


def test_a_moment_is_written_in_utc_without_its_fraction() -> None:
    assert rfc3339(LOCAL) == "2026-11-22T22:02:03Z"
    assert minute(LOCAL) == "2026-11-22 22:02 UTC"


def test_the_clock_of_a_real_run_is_aware_utc() -> None:
    assert utc_now().tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-23T09:12:33Z", datetime(2026, 11, 23, 9, 12, 33, tzinfo=UTC)),
        ("2026-11-23T11:12:33+02:00", datetime(2026, 11, 23, 9, 12, 33, tzinfo=UTC)),
        ("2026-11-23T09:12:33.123456789Z", datetime(2026, 11, 23, 9, 12, 33, 123456, tzinfo=UTC)),
        ("2026-11-23T09:12:33.1Z", datetime(2026, 11, 23, 9, 12, 33, 100000, tzinfo=UTC)),
        ("2026-11-23T09:12:33", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("soon", None),
        ("", None),
    ],
)
def test_a_moment_of_a_store_is_read_with_its_zone_to_the_microsecond(
    text: str, moment: datetime | None
) -> None:
    assert parse_moment(text) == moment

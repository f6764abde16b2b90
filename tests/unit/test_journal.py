import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.journal import Journal

# https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Tag.html
TAG_VALUE = re.compile(r"[A-Za-z0-9 _.:/=+@-]{0,256}")
EMPTY = Journal()
MINTED = datetime(2026, 11, 23, 9, 12, 33, tzinfo=UTC)

ids = st.none() | st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
zones = st.integers(-23, 23).map(lambda hours: timezone(timedelta(hours=hours)))
moments = st.none() | st.datetimes(
    datetime(2020, 1, 2),  # noqa: DTZ001 - hypothesis wants naive bounds and adds the zone
    datetime(2999, 1, 1),  # noqa: DTZ001 - the same
    timezones=zones,
)
journals = st.builds(Journal, token_id=ids, previous_token_id=ids, minted_at=moments)


@given(journals)
def test_what_is_written_is_read_again_to_the_second(journal: Journal) -> None:
    whole = journal.minted_at and journal.minted_at.replace(microsecond=0)
    assert Journal.from_text(journal.to_text()) == replace(journal, minted_at=whole)


@given(journals)
def test_the_text_fits_an_aws_tag(journal: Journal) -> None:
    assert TAG_VALUE.fullmatch(journal.to_text())


def test_the_text_is_what_the_module_promises() -> None:
    assert Journal("5f0c", "1b2d", MINTED).to_text() == (
        "v=1 token=5f0c previous=1b2d minted=2026-11-23T09:12:33Z"
    )


def test_an_empty_journal_is_no_text_at_all() -> None:
    assert EMPTY.to_text() == ""
    assert Journal.from_text("") == EMPTY


def test_a_moment_of_another_zone_is_written_in_utc() -> None:
    local = MINTED.astimezone(timezone(timedelta(hours=2)))
    assert Journal(minted_at=local).to_text() == "v=1 minted=2026-11-23T09:12:33Z"


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "v=2 token=5f0c",
        "token=5f0c v=1",
        "v=1",
        "v=1 token",
        "v=1 token=",
        "v=1 token=../../etc",
        "v=1 token=" + "t" * 65,
        "v=1 token=$(reboot)",
        "v=1 previous=é",
        "v=1 minted=yesterday",
        "v=1 minted=2026-13-23T09:12:33Z",
        "v=1 minted=2026-11-23T09:12:33",
        "v=1 minted=",
        "v=1 colour=blue",
        "\0" * 300,
        "=" * 10_000_000,
    ],
    ids=lambda text: text[:30].replace("\0", "0"),
)
def test_text_that_is_not_understood_is_ignored(text: str) -> None:
    assert Journal.from_text(text) == EMPTY


def test_what_is_understood_counts_among_what_is_not() -> None:
    text = "v=1  token=a%b previous=1b2d minted=soon later=9 previous"
    assert Journal.from_text(text) == Journal(previous_token_id="1b2d")


@given(st.text())
def test_any_text_is_read_without_trouble_and_keeps_its_meaning(text: str) -> None:
    journal = Journal.from_text(f"v=1 {text}")
    assert TAG_VALUE.fullmatch(journal.to_text())
    assert Journal.from_text(journal.to_text()) == journal

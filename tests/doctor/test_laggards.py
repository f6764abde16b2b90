"""Whoever still exchanges a token that was replaced: what becomes of them."""

from datetime import timedelta

import pytest

from rotator.cli.doctor.findings import Finding, Result
from tests.doctor.clinic import Clinic, bad
from tests.support.clock import FakeClock

HOUR = timedelta(hours=1)
OLD = "old-tokens"


@pytest.fixture(autouse=True)
def _replaced(clinic: Clinic, clock: FakeClock) -> None:
    """A token that was minted an hour ago, and the one that it replaced."""
    clinic.api.issue(20)
    clinic.api.issue(90, created_at=clock.now - HOUR)
    old, new = clinic.api.tokens
    minted = f"{clock.now - HOUR:%Y-%m-%dT%H:%M:%SZ}"
    note = f"# rotator: v=1 token={new.id} previous={old.id} minted={minted}\n"
    clinic.put(new.secret, note=note)


def use_old(clinic: Clinic, clock: FakeClock, ago: timedelta) -> None:
    clinic.api.tokens[0].last_used_at = clock.now - ago


def told(found: list[Finding]) -> list[Finding]:
    return [finding for finding in found if finding.topic == OLD]


@pytest.mark.parametrize(
    ("retire", "fate"),
    [
        ("never", 'it lives until its end; with retire = "unused 24h", until nobody uses it'),
        ("unused 24h", "it is revoked once nobody does"),
    ],
)
def test_one_that_loses_nothing_is_told_of(
    clinic: Clinic, clock: FakeClock, retire: str, fate: str
) -> None:
    use_old(clinic, clock, HOUR / 2)
    found = clinic.examine(toml=f'retire = "{retire}"')
    (finding,) = told(found)
    assert (finding.result, bad(found)) == (Result.OK, [])
    assert clinic.api.tokens[0].id in finding.message
    assert fate in finding.message


@pytest.mark.parametrize("retire", ["now", "1d"])
def test_one_that_a_timer_cuts_off_is_a_warning(
    clinic: Clinic, clock: FakeClock, retire: str
) -> None:
    use_old(clinic, clock, HOUR / 2)
    found = clinic.examine(toml=f'retire = "{retire}"')
    assert bad(found) == [(OLD, "warning")]
    assert 'cut off when its time is over; not with retire = "unused 24h"' in told(found)[0].message


@pytest.mark.parametrize("ago", [HOUR, HOUR * 5, HOUR - timedelta(minutes=2)])
def test_a_use_before_the_move_is_none(clinic: Clinic, clock: FakeClock, ago: timedelta) -> None:
    use_old(clinic, clock, ago)
    assert told(clinic.examine()) == []


def test_where_nobody_uses_it_nothing_is_told(clinic: Clinic) -> None:
    assert told(clinic.examine()) == []


@pytest.mark.parametrize(
    ("toml", "is_recommended"),
    [
        ("probe = false", True),
        ("", False),  # it may have been the rotator
        ('probe = false\nretire = "1d"', False),
    ],
)
def test_where_bots_exchange_the_end_of_unused_tokens_is_recommended(
    clinic: Clinic, clock: FakeClock, toml: str, *, is_recommended: bool
) -> None:
    clinic.api.tokens[1].last_used_at = clock.now - HOUR / 2
    found = told(clinic.examine(toml=toml))
    assert ['retire = "unused 24h"' in each.message for each in found] == [True] * is_recommended


def test_the_exchange_of_the_rotator_itself_recommends_nothing(
    clinic: Clinic, clock: FakeClock
) -> None:
    clinic.api.tokens[1].last_used_at = clock.now - HOUR
    assert told(clinic.examine(toml="probe = false")) == []

"""Who still uses an old token is told, and a use after an unusual silence is an alarm."""

import json
from datetime import timedelta

import pytest

from rotator.audit import Event
from rotator.cli.exit_codes import check_exit_code
from rotator.cli.rotate import exit_code_of
from rotator.config.settings import Secret, Unused
from rotator.errors import StoreError
from rotator.rotation.model import OldTokenState
from rotator.rotation.policy import RotateOptions
from rotator.rotation.report import Report, summarize
from rotator.rotation.severity import FOUR_A_DAY, Severity, with_severity
from rotator.tokens import ServiceToken
from tests.rotation.disuse import (
    DAY,
    HOUR,
    UNUSED,
    USED_FOR_DAYS,
    only,
    run,
    use,
)
from tests.support.listener import listener
from tests.support.stores import Failing, MeddledStore
from tests.support.world import World


@pytest.fixture
def old(world: World) -> str:
    """A token that is due, and that outlives these tests."""
    secret = world.api.issue(days=USED_FOR_DAYS)
    world.put(secret)
    return secret


def test_the_json_tells_who_still_uses_it(world: World, old: str) -> None:
    run(world)
    world.clock.advance(HOUR)
    use(world, old)
    found = json.loads(json.dumps(run(world, after=HOUR).to_json()))["old_tokens"]
    assert found == [
        {
            "token_id": str(ServiceToken.parse(old).token_id),
            "state": "in-use",
            "due_at": "2026-11-24T13:00:02Z",
            "last_used_at": "2026-11-23T13:00:00Z",
            "at_most": None,
            "message": found[0]["message"],
        }
    ]
    assert "restart a bot that reads it only when it starts" in found[0]["message"]


def test_after_a_rotation_it_is_told_when_the_old_one_ends(world: World, old: str) -> None:
    token_id = ServiceToken.parse(old).token_id
    told = f"the old token {token_id} is revoked from 2026-11-24 12:00 UTC on if nobody uses it"
    assert told in summarize(run(world))


def test_a_check_tells_by_the_journal_who_uses_it(world: World, old: str) -> None:
    retire = Unused(DAY, 3 * DAY)
    run(world, retire)
    world.clock.advance(HOUR)
    use(world, old)
    run(world, retire, after=HOUR)
    calls = len(world.api.calls)
    report = world.rotation().check(probe=False)
    assert (only(report).state, report.error) == (OldTokenState.IN_USE, None)
    assert only(report).last_used_at == world.clock.now - HOUR
    line = summarize(report)
    assert (
        f"the old token {only(report).token_id} is still in use: it was last used 2026-11" in line
    )
    assert "NOCTURNA_SERVICE_TOKEN shows the new one since 2026-11-23 12:00 UTC: restart a" in line
    assert len(world.api.calls) == calls


def test_a_check_fails_a_day_before_a_token_in_use_is_revoked(world: World, old: str) -> None:
    retire = Unused(DAY, 3 * DAY)
    run(world, retire)
    world.clock.advance(2 * DAY - HOUR)
    use(world, old)
    run(world, retire)
    assert world.rotation().check(probe=False).error is None
    world.clock.advance(HOUR)
    report = world.rotation().check(probe=False)
    assert (report.failure, check_exit_code([report])) == ("laggard", 1)
    assert "is still in use, and is revoked at 2026-11-26 12:00 UTC all the same" in str(
        report.error
    )
    report = run(world, retire)
    assert (report.failure, exit_code_of([report], detailed=False)) == ("laggard", 1)
    assert with_severity(report, DAY, FOUR_A_DAY).level == Severity.WARNING


def test_a_late_use_is_told_once_in_the_log_the_trail_and_by_a_notice(
    world: World, old: str, caplog: pytest.LogCaptureFixture
) -> None:
    def look(after: timedelta) -> Report:
        world.clock.advance(after)
        url = Secret("test", value=notices)
        return world.rotation(retire=UNUSED, notify=(url,)).rotate(RotateOptions())

    with listener() as (notices, arrived):
        look(timedelta())
        look(after=13 * HOUR)  # nobody used it for more than half of its time
        use(world, old)
        report = look(after=HOUR)
        look(after=HOUR)
    token_id = ServiceToken.parse(old).token_id
    told = f"{token_id} was used at 2026-11-24 01:00 UTC, after nobody had used it for 13 hours"
    assert (only(report).state, report.error) == (OldTokenState.IN_USE, None)
    titles = [each["title"] for each in arrived]
    assert titles == ["luna-bot: token renewed", "luna-bot: a replaced token was used"]
    assert told in arrived[1]["message"]
    assert arrived[1]["event"] == "owed-in-use"
    assert arrived[1]["tokens"][0]["token_id"] == token_id
    assert arrived[1]["tokens"][0]["last_used_at"] == "2026-11-24T01:00:00Z"
    events = [getattr(record, "audit", {}) for record in caplog.records]
    late = [each for each in events if each.get("event") == Event.LATE_USE]
    assert [(each["token_id"], each["last_used_at"]) for each in late] == [
        (token_id, "2026-11-24T01:00:00Z")
    ]
    warnings = [each.message for each in caplog.records if each.levelname == "WARNING"]
    assert [told in each for each in warnings] == [True]


def test_a_late_use_that_could_not_be_noted_is_told_again(world: World, old: str) -> None:
    store = MeddledStore(world.store(), before_note=Failing(StoreError("the disk is full"), 5))

    def look(after: timedelta) -> Report:
        world.clock.advance(after)
        return world.rotation(store, retire=UNUSED, notify=(Secret("test", value=url),)).rotate(
            RotateOptions()
        )

    with listener() as (url, arrived):
        look(timedelta())
        look(after=13 * HOUR)
        use(world, old)
        assert "the disk is full" in str(look(after=HOUR).error)
        look(after=HOUR)
        look(after=HOUR)
    assert [each["title"] for each in arrived[1:]] == ["luna-bot: a replaced token was used"] * 2

"""A machine whose clock is wrong: judged by the server's time, told, and no mint that must fail."""

from datetime import timedelta

import pytest

from rotator.rotation.model import Action
from rotator.rotation.policy import RotateOptions, Status
from rotator.rotation.report import Report
from rotator.rotation.severity import FOUR_A_DAY, Severity, with_severity
from tests.support.sandbox import Fault
from tests.support.world import World

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
FORCED = RotateOptions(force=True)


def run(world: World, ahead: timedelta, options: RotateOptions | None = None) -> Report:
    now = world.clock.now + ahead
    rotation = world.rotation(clock=lambda: now, api=world.open_api(lambda: now))
    report = rotation.rotate(options or RotateOptions())
    return with_severity(report, rotation.renew_before, FOUR_A_DAY)


def test_a_clock_far_behind_does_not_hide_that_a_token_is_due(world: World) -> None:
    world.put(world.api.issue(days=3))
    report = run(world, -8 * DAY)
    assert (report.action, report.status) == (Action.FAILED, Status.DUE)
    assert report.seconds_left == pytest.approx(3 * 86400, abs=2)
    assert "this machine's clock is 8 days behind the API's: set it right" in str(report.error)
    assert str(report.error).count("this machine's clock") == 1
    assert "the token still lives" in str(report.error)
    assert world.mints() == 0


def test_a_clock_some_hours_behind_does_not_delay_a_rotation(world: World) -> None:
    world.put(world.api.issue(expires_at=world.clock.now + 7 * DAY - HOUR))
    report = run(world, -3 * HOUR)
    assert (report.action, report.error) == (Action.ROTATED, None)


def test_a_clock_far_ahead_does_not_make_a_working_token_dead(world: World) -> None:
    world.put(world.api.issue(days=5))
    report = run(world, 8 * DAY)
    assert (report.action, report.status) == (Action.FAILED, Status.DUE)
    assert "this machine's clock is 8 days ahead of the API's: set it right" in str(report.error)
    assert "no working token" not in str(report.error)
    assert world.mints() == 0


def test_a_clock_minutes_off_is_a_warning(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.put(world.api.issue(days=60))
    report = run(world, timedelta(minutes=10))
    assert (report.action, report.status, report.error) == (Action.KEPT, Status.OK, None)
    told = "this machine's clock is 10 minutes ahead of the API's: set it right"
    assert told in report.message
    assert caplog.messages.count(told) == 1


@pytest.mark.parametrize("ahead", [2 * DAY, -2 * DAY])
def test_a_clock_days_off_is_a_failure_before_it_matters(world: World, ahead: timedelta) -> None:
    world.put(world.api.issue(days=60))
    report = run(world, ahead)
    assert report.action is Action.KEPT
    assert "this machine's clock is 2 days " in str(report.error)
    assert report.level is Severity.WARNING


def test_seconds_are_not_worth_a_word(world: World) -> None:
    world.put(world.api.issue(days=60))
    report = run(world, timedelta(seconds=90))
    assert "clock" not in report.message


def test_what_has_expired_at_the_server_was_not_revoked(world: World) -> None:
    world.put(world.api.issue(expires_at=world.clock.now - HOUR))
    now = world.clock.now - 8 * DAY
    rotation = world.rotation(clock=lambda: now, api=world.open_api(lambda: now))
    report = rotation.check(probe=True)
    assert (report.status, report.reason) == (Status.EXPIRED, "expired")
    assert "this machine's clock is 8 days behind the API's: set it right" in str(report.error)


def test_a_forced_run_that_fails_tells_that_the_old_token_is_refused(world: World) -> None:
    old = world.api.issue(days=60)
    world.put(old)
    world.api.revoke(str(world.token().token_id))
    world.api.misbehave(Fault.status(403), "POST /auth/admin/service-tokens")
    report = run(world, timedelta(), FORCED)
    assert (report.action, report.status) == (Action.FAILED, Status.REFUSED)
    assert report.level is Severity.CRITICAL
    assert "the bot has no working token" in str(report.error)


def test_a_forced_run_that_fails_with_a_token_that_works_is_as_mild_as_before(
    world: World,
) -> None:
    world.put(world.api.issue(days=60))
    world.api.misbehave(Fault.status(403), "POST /auth/admin/service-tokens")
    report = run(world, timedelta(), FORCED)
    assert (report.action, report.status, report.reason) == (Action.FAILED, Status.DUE, "forced")
    assert report.level is Severity.WARNING

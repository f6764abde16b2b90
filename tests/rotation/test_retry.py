"""A run that waits for an API or a store: how long, for what, and what it does not do twice."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from rotator.cli.rotate import run_rotations
from rotator.errors import StoreDeniedError, StoreUnreachableError, retryable_kinds
from rotator.nocturna.api import ApiClient
from rotator.nocturna.service_tokens import TokenApi
from rotator.nocturna.session import AdminSession
from rotator.rotation.model import Action, LazyApi
from rotator.rotation.policy import RotateOptions, Status
from rotator.rotation.report import Report
from rotator.rotation.retry import Patience, is_worth_waiting
from rotator.rotation.severity import FOUR_A_DAY, runs_every
from tests.support.sandbox import Fault
from tests.support.stores import Failing, MeddledStore
from tests.support.world import World

LOGIN = "POST /auth/login"
TEN_MINUTES = timedelta(minutes=10)


class Waits:
    """A clock that moves when somebody sleeps; `acts` happens after so many seconds."""

    def __init__(self, after: float = 0, act: Callable[[], object] = lambda: None) -> None:
        self.now = 0.0
        self._after, self._act = after, act

    def sleep(self, seconds: float) -> None:
        before, self.now = self.now, self.now + seconds
        if before < self._after <= self.now:
            self._act()

    def monotonic(self) -> float:
        return self.now

    def patience(self, window: timedelta = TEN_MINUTES) -> Patience:
        return Patience(window, self.sleep, self.monotonic, lambda _, high: high)


def run(world: World, waits: Waits, wanted: RotateOptions | None = None) -> Report:
    wanted = wanted or RotateOptions()
    # An API that just failed is not asked again for ten seconds, by the same clock.
    http = ApiClient(world.api.url, world.clock)
    admin = AdminSession(
        http, lambda: (world.api.admin_email, world.api.admin_password), waits.monotonic
    )
    api = TokenApi(http, admin, waits.monotonic)
    rotation = world.rotation(api=LazyApi(lambda: api))
    [report], _ = run_rotations([rotation], wanted, waits.patience(), FOUR_A_DAY)
    return report


def test_an_api_that_is_away_for_a_while_fails_no_run(world: World, old: str) -> None:
    world.api.misbehave(Fault.reset_before(), LOGIN, times=None)
    waits = Waits(after=200, act=world.api.behave)
    report = run(world, waits)
    assert (report.action, report.error) == (Action.ROTATED, None)
    assert world.secret() != old
    # After 30 seconds, another minute, and another two.
    assert waits.now == pytest.approx(210)
    assert world.mints() == 1


def test_it_is_given_up_when_the_next_try_would_come_too_late(world: World, old: str) -> None:
    world.api.misbehave(Fault.reset_before(), LOGIN, times=None)
    waits = Waits()
    report = run(world, waits)
    assert (report.action, report.failure) == (Action.FAILED, "api-unreachable")
    assert waits.now == pytest.approx(30 + 60 + 120 + 240)
    assert world.secret() == old


def test_without_being_asked_to_wait_nothing_is_tried_again(world: World, old: str) -> None:
    assert world.secret() == old
    world.api.misbehave(Fault.reset_before(), LOGIN, times=None)
    waits = Waits()
    [report], _ = run_rotations([world.rotation()], RotateOptions(), waits.patience(timedelta()))
    assert report.failure == "api-unreachable"
    assert waits.now == 0


def test_the_less_life_is_left_the_sooner_it_is_tried_again(world: World) -> None:
    world.put(world.api.issue(days=30 / 86400))  # half a minute
    world.api.misbehave(Fault.reset_before(), LOGIN, times=None)
    waits = Waits(after=1, act=world.api.behave)
    assert run(world, waits).action is Action.ROTATED
    assert waits.now == pytest.approx(10, abs=0.5)


def test_what_does_not_pass_by_itself_is_not_waited_for(world: World, old: str) -> None:
    assert world.secret() == old
    world.api.misbehave(Fault.refusal(401), LOGIN, times=None)
    waits = Waits()
    assert run(world, waits).failure == "login-refused"
    assert waits.now == 0


def test_a_token_with_time_is_left_to_the_next_run(world: World) -> None:
    world.put(world.api.issue(days=60))
    gone = MeddledStore(world.store(), before_read=Failing(StoreUnreachableError("away")))
    waits = Waits()
    stores = [world.store("other.env"), gone]
    world.put(world.secret(), "other.env")
    [report], _ = run_rotations([world.rotation(*stores)], RotateOptions(), waits.patience())
    assert (report.status, report.failure) == (Status.OK, "store-unreachable")
    assert waits.now == 0


def test_only_what_failed_is_tried_again(world: World) -> None:
    for file in ("luna.env", "sol.env"):
        world.put(world.api.issue(days=3), file)
    away = MeddledStore(
        world.store("sol.env"), before_read=Failing(StoreUnreachableError("away"), 1)
    )
    rotations = [
        world.rotation(world.store("luna.env"), name="luna"),
        world.rotation(away, name="sol"),
    ]
    wanted = RotateOptions(force=True)
    reports, _ = run_rotations(rotations, wanted, Waits().patience())
    assert [(each.name, each.action) for each in reports] == [
        ("luna", Action.ROTATED),
        ("sol", Action.ROTATED),
    ]
    assert world.mints() == 2


def test_what_was_forced_and_done_is_not_forced_again(world: World, old: str) -> None:
    """The second store is away when the token is written, and comes back."""
    assert world.secret() == old
    world.put(old, "other.env")
    away = MeddledStore(
        world.store("other.env"), before_write=Failing(StoreUnreachableError("away"), 1)
    )
    wanted = RotateOptions(force=True)
    rotation = world.rotation(world.store(), away)
    run_rotations([rotation], wanted, Waits().patience())
    assert world.mints() == 1


def test_a_signal_ends_the_wait(world: World, old: str) -> None:
    assert world.secret() == old
    world.api.misbehave(Fault.reset_before(), LOGIN, times=None)
    waits = Waits()
    rotation = world.rotation()
    reports = [rotation.rotate(RotateOptions())]
    assert waits.patience().retry([rotation], reports, lambda _: reports, lambda: True) == reports
    assert waits.now == 0


@pytest.mark.parametrize(
    ("status", "failure", "is_worth_it"),
    [
        (Status.DUE, "api-unreachable", True),
        (Status.EXPIRED, "store-unreachable", True),
        (Status.UNKNOWN, "store-unreachable", True),
        (Status.MISSING, "api-fault", True),
        (Status.OK, "api-unreachable", False),
        (Status.ETERNAL, "store-unreachable", False),
        (Status.DUE, "login-refused", False),
        (Status.DUE, "store-denied", False),
        (Status.DUE, "verification", False),
        (Status.UNKNOWN, "stopped", False),
        (Status.UNKNOWN, "internal", False),
    ],
)
def test_who_waits_for_what(status: Status, failure: str, *, is_worth_it: bool) -> None:
    report = Report("luna", status, "x", "x", Action.FAILED, error="x", failure=failure)
    assert is_worth_waiting(report) is is_worth_it
    assert not is_worth_waiting(report._replace(error=None))


def test_the_kinds_are_those_of_the_errors_that_pass() -> None:
    assert {"api-unreachable", "store-unreachable", "conflict"} <= retryable_kinds()
    assert StoreDeniedError.retryable is False
    assert "store-denied" not in retryable_kinds()


def test_attempts_are_counted_by_the_time_between_two_runs() -> None:
    schedule = runs_every("12h")
    assert schedule.text == "with a run every 12h"
    assert schedule.attempts(timedelta(days=3)) == 6
    with pytest.raises(ValueError, match="such as 7d, 12h"):
        runs_every("daily")

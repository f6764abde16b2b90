import tracemalloc
from datetime import UTC, datetime, timedelta

from rotator.rotation.model import Action, StoreReport, StoreState
from rotator.rotation.policy import Status
from rotator.rotation.report import Report
from rotator.rotation.states import Look, TokenStates

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def look(
    hour: int,
    action: Action,
    failure: str | None = None,
    name: str = "luna",
    status: Status = Status.DUE,
) -> Look:
    error = "it broke" if failure else None
    report = Report(name, status, "expiring", "…", action, error=error, failure=failure)
    begun = NOON + timedelta(hours=hour)
    return Look(report, begun, begun + timedelta(seconds=2))


def test_a_watched_token_has_no_state_before_its_first_look() -> None:
    states = TokenStates()
    states.watch(["sol", "luna"])
    assert states.by_name() == {"sol": None, "luna": None}
    states.record(look(0, Action.KEPT))
    assert list(states.by_name()) == ["sol", "luna"]
    assert states.by_name()["sol"] is None


def test_a_state_keeps_the_last_success_and_the_last_rotation_through_failures() -> None:
    states = TokenStates()
    states.watch(["luna"])
    rotated, kept = look(1, Action.ROTATED), look(2, Action.KEPT)
    failed = look(3, Action.FAILED, "api-unreachable")
    for each in (rotated, kept, failed, failed):
        states.record(each)
    state = states.by_name()["luna"]
    assert state
    assert state.last == failed
    assert (state.rotated_at, state.succeeded_at) == (rotated.ended_at, kept.ended_at)
    assert [each.at for each in state.history] == [
        each.ended_at for each in (failed, failed, rotated)
    ]
    assert [each.action for each in state.history] == ["failed", "failed", "rotated"]
    assert state.rotations == {"expiring": 1}
    assert state.failures == {"api-unreachable": 2}


def test_a_rotation_with_a_failed_hook_is_both() -> None:
    states = TokenStates()
    states.watch(["luna"])
    both = look(1, Action.ROTATED, "unfinished")
    states.record(both)
    state = states.by_name()["luna"]
    assert state
    assert (state.rotated_at, state.succeeded_at) == (both.ended_at, None)
    assert (state.rotations, state.failures) == ({"expiring": 1}, {"unfinished": 1})


def test_a_state_keeps_the_last_readable_report_while_no_store_answers() -> None:
    states = TokenStates()
    states.watch(["luna", "sol"])
    seen = look(2, Action.FAILED, "api-unreachable")
    unreachable = look(3, Action.FAILED, "store-unreachable", status=Status.UNKNOWN)
    for each in (look(1, Action.KEPT), seen, unreachable, unreachable):
        states.record(each)
    states.record(unreachable._replace(report=unreachable.report._replace(name="sol")))
    luna, sol = states.by_name().values()
    assert luna
    assert luna.last_readable == seen.report
    assert sol
    assert sol.last_readable is None


def test_the_history_is_short() -> None:
    states = TokenStates()
    states.watch(["luna"])
    for hour in range(100):
        states.record(look(hour, Action.FAILED, "api-fault"))
    state = states.by_name()["luna"]
    assert state
    assert len(state.history) == 20
    assert state.history[0].at == state.last.ended_at


def test_a_long_outage_of_a_large_fleet_takes_little_memory() -> None:
    states, names = TokenStates(), [f"bot-{number}" for number in range(100)]
    states.watch(names)

    def fail_all(hour: int) -> None:
        for name in names:
            failed = look(hour, Action.FAILED, "api-unreachable", name)
            error = f"{name}: nothing listens at the API's address; check its URL" * 4
            message = f"expires in 6 days, {hour} hours; renewed below 7 days"
            stores = (StoreReport(f"vault://secret/bots/{name}", StoreState.CURRENT),)
            report = failed.report._replace(error=error, message=message, stores=stores)
            states.record(failed._replace(report=report))

    fail_all(0)
    tracemalloc.start()
    try:
        for hour in range(1, 20):
            fail_all(hour)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken / (19 * len(names)) < 800  # bytes for each failure that is kept


def test_a_token_that_left_the_config_is_forgotten() -> None:
    states = TokenStates()
    states.watch(["luna", "sol"])
    states.record(look(0, Action.KEPT))
    states.watch(["sol"])
    states.record(look(1, Action.KEPT))
    assert states.by_name() == {"sol": None}

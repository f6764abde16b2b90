from datetime import UTC, datetime, timedelta

from rotator.rotation.model import Action, Report
from rotator.rotation.policy import Status
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


def test_a_board_knows_what_it_watches_before_anything_was_looked_at() -> None:
    board = TokenStates()
    board.watch(["sol", "luna"])
    assert board.cards() == {"sol": None, "luna": None}
    board.post(look(0, Action.KEPT))
    assert list(board.cards()) == ["sol", "luna"]
    assert board.cards()["sol"] is None


def test_a_card_keeps_the_last_success_and_the_last_rotation_through_failures() -> None:
    board = TokenStates()
    board.watch(["luna"])
    rotated, kept = look(1, Action.ROTATED), look(2, Action.KEPT)
    failed = look(3, Action.FAILED, "api-unreachable")
    for each in (rotated, kept, failed, failed):
        board.post(each)
    card = board.cards()["luna"]
    assert card
    assert card.last == failed
    assert (card.rotated_at, card.succeeded_at) == (rotated.ended_at, kept.ended_at)
    assert card.history == (failed, failed, rotated)
    assert card.rotations == {"expiring": 1}
    assert card.failures == {"api-unreachable": 2}


def test_a_rotation_with_a_failed_hook_is_both() -> None:
    board = TokenStates()
    board.watch(["luna"])
    both = look(1, Action.ROTATED, "unfinished")
    board.post(both)
    card = board.cards()["luna"]
    assert card
    assert (card.rotated_at, card.succeeded_at) == (both.ended_at, None)
    assert (card.rotations, card.failures) == ({"expiring": 1}, {"unfinished": 1})


def test_a_card_keeps_what_was_seen_of_the_token_while_no_store_answers() -> None:
    board = TokenStates()
    board.watch(["luna", "sol"])
    seen = look(2, Action.FAILED, "api-unreachable")
    unreachable = look(3, Action.FAILED, "store-unreachable", status=Status.UNKNOWN)
    for each in (look(1, Action.KEPT), seen, unreachable, unreachable):
        board.post(each)
    board.post(unreachable._replace(report=unreachable.report._replace(name="sol")))
    luna, sol = board.cards().values()
    assert luna
    assert luna.seen == seen.report
    assert sol
    assert sol.seen is None


def test_the_history_is_short() -> None:
    board = TokenStates()
    board.watch(["luna"])
    for hour in range(100):
        board.post(look(hour, Action.FAILED, "api-fault"))
    card = board.cards()["luna"]
    assert card
    assert len(card.history) == 20
    assert card.history[0] == card.last


def test_a_token_that_left_the_config_is_forgotten() -> None:
    board = TokenStates()
    board.watch(["luna", "sol"])
    board.post(look(0, Action.KEPT))
    board.watch(["sol"])
    board.post(look(1, Action.KEPT))
    assert board.cards() == {"sol": None}

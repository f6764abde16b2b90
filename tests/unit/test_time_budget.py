"""A time budget bounds all waits of a piece of work."""

from rotator.clock import TimeBudget, limit_wait
from rotator.rotation.threads import map_in_threads


def test_without_a_budget_each_wait_has_its_own_limit() -> None:
    assert limit_wait(7.0) == 7.0


def test_waits_end_with_their_budget() -> None:
    with TimeBudget(1000.0).spending():
        assert limit_wait(7.0) == 7.0
        assert 0.0 < limit_wait(9999.0) <= 1000.0
    assert limit_wait(9999.0) == 9999.0


def test_a_budget_that_is_spent_leaves_no_time() -> None:
    with TimeBudget(0.0).spending():
        assert limit_wait(7.0) == 0.0


def test_a_budget_can_become_shorter_and_no_longer() -> None:
    budget = TimeBudget(1000.0)
    with budget.spending():
        budget.shorten(5.0)
        assert limit_wait(9999.0) <= 5.0
        budget.shorten(500.0)
        assert limit_wait(9999.0) <= 5.0


def test_the_threads_of_an_inventory_share_it() -> None:
    with TimeBudget(5.0).spending():
        assert max(map_in_threads(limit_wait, [9999.0] * 20)) <= 5.0

"""What the stores behind a server have in common: nobody waits for others beyond its time."""

import time

import pytest

from backends.remote import RemoteStore, attempts
from rotator.clock import TimeBudget


def test_the_pauses_between_attempts_grow_and_end_with_the_budget(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    numbers = list(attempts())
    assert len(pauses) == len(numbers) - 1
    assert 0 < sum(pauses) < 10
    pauses.clear()
    with TimeBudget(0.0).spending():
        assert list(attempts()) == numbers
    assert set(pauses) == {0.0}


def test_who_has_no_time_left_does_not_wait_for_another_thread() -> None:
    ours, theirs = (RemoteStore(f"vault://secret/luna#{field}") for field in "AB")
    with theirs._alone(), TimeBudget(0.0).spending(), ours._alone():  # noqa: SLF001 - of subclasses
        pass
    with ours._alone():  # noqa: SLF001 - (the same)
        assert ours._changing.locked()  # noqa: SLF001 - (the same)

"""Threads for many small pieces of work."""

import threading
import time

import pytest

from rotator.rotation.threads import map_in_threads
from tests.support.waiting import PATIENCE

TOO_LARGE = 1 << 46  # bytes for a stack: no machine has them


def test_the_work_is_done_where_the_machine_starts_no_more_threads() -> None:
    before = threading.stack_size(TOO_LARGE)
    try:
        with pytest.raises(RuntimeError, match="can't start new thread"):
            threading.Thread(target=print).start()
        assert map_in_threads(str, range(3)) == ["0", "1", "2"]
    finally:
        threading.stack_size(before)


def test_what_is_raised_ends_the_work() -> None:
    with pytest.raises(ZeroDivisionError):
        map_in_threads(lambda each: 1 // each, [0, 1, 2])


def test_work_that_waits_is_done_by_all_threads() -> None:
    meeting = threading.Barrier(3)
    met = map_in_threads(lambda _: meeting.wait(PATIENCE), range(3), workers=3)
    assert sorted(met) == [0, 1, 2]


def test_work_that_does_not_wait_is_done_by_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    # A process that has a processor all the time, as on a machine with nothing else to do.
    monkeypatch.setattr(time, "process_time", time.monotonic)

    def work(_: int) -> int:
        time.sleep(0.001)  # each could be taken by another thread meanwhile
        return threading.get_ident()

    assert len(set(map_in_threads(work, range(100)))) == 1


def test_a_few_are_done_side_by_side_in_a_process_that_is_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "process_time", time.monotonic)
    meeting = threading.Barrier(8)
    assert len(map_in_threads(lambda _: meeting.wait(PATIENCE), range(8))) == 8

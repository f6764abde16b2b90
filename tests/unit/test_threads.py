"""Threads for many small pieces of work."""

import threading

import pytest

from rotator.rotation.threads import map_in_threads

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

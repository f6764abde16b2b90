"""The clock by which lifetimes are counted."""

import time
from collections.abc import Callable
from functools import partial

Seconds = Callable[[], float]


def boot_seconds() -> Seconds:
    """Return a clock of seconds that never goes back, whatever is done to the wall clock.

    On Linux it is CLOCK_BOOTTIME: the CLOCK_MONOTONIC of `time.monotonic` stands still while a
    laptop sleeps or a virtual machine is suspended, and a token that ended meanwhile would look
    fresh afterwards. Elsewhere, as on macOS, CLOCK_MONOTONIC goes on during sleep.
    """
    return partial(time.clock_gettime, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))

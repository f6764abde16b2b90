"""How long a test waits for what must happen: so long that only a bug takes longer.

No test may fail because its machine is slow. It waits for an event with PATIENCE as the limit, and
where it proves that the product gives up in time, it makes the alternative take FOREVER.
"""

import time
from collections.abc import Callable

PATIENCE = 600.0  # seconds
FOREVER = 6 * PATIENCE


def wait_until(happened: Callable[[], object], what: str = "what the test waits for") -> None:
    """Look again and again until something has happened."""
    end = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < end, f"{what} has not happened within {PATIENCE:.0f} s"
        time.sleep(0.01)

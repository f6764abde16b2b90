"""`python -m bench.hour`: an hour of a daemon over `./rotator.toml` in which nothing is due.

Time is simulated: the clock goes on from one look to the next, and the daemon ticks each minute, as
in its process. Prints as JSON the seconds of processor time from the start until all tokens were
looked at once (`first`), and in the hour after (`hour`), of that in the ticks (`ticks`), and the
resident memory at the end in KiB (`memory`).
"""

import json
import os
import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from rotator import wiring
from rotator.config.loader import load_settings
from rotator.daemon.health import Health
from rotator.daemon.scheduler import Daemon
from rotator.rotation.in_flight import InFlightMints
from tests.support.clock import FakeClock
from tests.support.scheduler import SteppedScheduler

_MINUTE = timedelta(minutes=1)


class _Stepped(SteppedScheduler):
    """With ten thousand jobs, to look at each of them before each would be all there is."""

    def next_run(self) -> datetime | None:
        moment: Any = self._lookup_jobstore("default").get_next_run_time()
        return moment.astimezone(UTC) if moment else None


def main() -> None:
    """Run the hour."""
    clock = FakeClock(datetime.now(UTC))
    scheduler = _Stepped(clock)
    settings = load_settings(Path("rotator.toml"), os.environ, Path.cwd())
    daemon = Daemon(
        scheduler,
        lambda: wiring.build_rotations(settings, (), clock, defaultdict(InFlightMints)),
        clock,
        Random(1).uniform,  # noqa: S311 - the same hour each time, and no secret
        Health(time.monotonic, lambda: True),
    )
    daemon.start()
    scheduler.step(timedelta())
    first, ticks = time.process_time(), 0.0
    for _ in range(60):
        scheduler.step(_MINUTE)
        began = time.process_time()
        daemon.tick()
        ticks += time.process_time() - began
    hour = time.process_time() - first
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    memory = pages * os.sysconf("SC_PAGE_SIZE") // 1024
    print(json.dumps({"first": first, "hour": hour, "ticks": ticks, "memory": memory}))


if __name__ == "__main__":
    main()

"""`python -m bench [a|…|l]...`: run the parts, print one table, exit 1 if a target is missed."""

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from bench import (
    authorised,
    aws,
    due,
    fleet,
    growth,
    idle,
    looks,
    one_rotation,
    shards,
    start_up,
    vault,
    watched,
)
from bench.processes import FailedRunError, isolate
from bench.table import Row, shown

Part = Callable[[Path], list[Row]]

_PARTS: dict[str, Part] = {
    "a": start_up.measure,
    "b": one_rotation.measure,
    "c": fleet.measure,
    "d": authorised.measure,
    "e": watched.measure,
    "f": looks.measure,
    "g": growth.measure,
    "h": idle.measure,
    "i": vault.measure,
    "j": due.measure,
    "k": aws.measure,
    "l": shards.measure,
}
_METHOD = f"""
Whole processes, from their start until they are reaped, in turns (ours, theirs, ours, …) after one
turn that is not measured; bytecode is cached, as pip leaves it. Times are medians, the ratio is
that of the medians, and "quartiles" are those of the turns' own ratios: far apart, they tell of a
noisy machine.

(a) {start_up.METHOD}
(b) {one_rotation.METHOD}
(c) {fleet.METHOD}
(d) {authorised.METHOD}
(e) {watched.METHOD}
(f) {looks.METHOD}
(g) {growth.METHOD}
(h) {idle.METHOD}
(i) {vault.METHOD}
(j) {due.METHOD}
(k) {aws.METHOD}
(l) {shards.METHOD}
"""


def main() -> int:
    """Return 0 if every target of the chosen parts is met, 1 if one is missed, 2 if one broke."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="a|…|l", help="[default: all]")
    wanted = parser.parse_args().parts or list(_PARTS)
    if unknown := set(wanted) - set(_PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    began = time.monotonic()
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.platform()}")
    print(f"load average before: {_load()}")
    rows: list[Row] = []
    try:
        with tempfile.TemporaryDirectory(prefix="rotator-bench-") as folder:
            isolate(Path(folder, "bytecode"))
            # Each in a process of its own: what one loads would count as memory of the next.
            with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
                for name in sorted(set(wanted)):
                    rows += pool.submit(_PARTS[name], Path(folder, name)).result()
    except FailedRunError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    print(f"load average after:  {_load()}, {time.monotonic() - began:.0f} s later\n")
    print(shown(rows))
    print(_METHOD, end="")
    return 1 if any(row.met is False for row in rows) else 0


def _load() -> str:
    return " ".join(f"{load:.2f}" for load in os.getloadavg())


if __name__ == "__main__":
    sys.exit(main())

"""Part h: an idle hour of a daemon with ten thousand tokens, by simulated time."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench import looks
from bench.processes import python
from bench.table import Row

MANY, FEW = 10_000, 1000
KIB_PER_TOKEN = 6
CPU_SECONDS = 36  # one part in a hundred of the hour
METHOD = f"""\
The daemon over {MANY:,} tokens in `.env` files, none due, with `probe = false`, in bench/hour.py:
its real jobs, on a clock that is moved on from look to look, with a tick a minute. Each token is
looked at at the start, and once more in the hour. Processor time of that hour; memory is what is
resident after it with {MANY:,} tokens less that with {FEW:,}, by the token.
"""


def measure(folder: Path) -> list[Row]:
    """Run the hour with many tokens and with few."""
    _hour(folder / "before", FEW)  # not measured: it compiles the modules
    few, many = (_hour(folder / str(size), size) for size in (FEW, MANY))
    growth = (many["memory"] - few["memory"]) / (MANY - FEW)
    return [
        Row(
            what=f"(h) idle hour, {MANY:,} tokens",
            ours=f"{many['hour']:.1f} s of processor time",
            theirs="–",
            ratio=f"{many['hour'] / 36:.2f} % of a core",
            target=f"<= {CPU_SECONDS} s",
            met=many["hour"] <= CPU_SECONDS,
        ),
        Row(
            what="    of that in ticks; the first looks",
            ours=f"{many['ticks']:.1f} s; {many['first']:.1f} s",
            theirs="–",
            ratio="–",
        ),
        Row(
            what=f"(h) memory, {FEW:,} to {MANY:,}",
            ours=f"{few['memory'] / 1024:.1f} to {many['memory'] / 1024:.1f} MiB",
            theirs="–",
            ratio=f"{growth:.1f} KiB/token",
            target=f"<= {KIB_PER_TOKEN} KiB",
            met=growth <= KIB_PER_TOKEN,
        ),
    ]


def _hour(folder: Path, size: int) -> dict[str, Any]:
    variables = looks.fill(folder, size)
    command = python("bench.hour", folder)
    run = replace(command, variables={**command.variables, **variables}).run()
    found: dict[str, Any] = json.loads(run.output.splitlines()[-1])
    return found

"""Part j: a thousand due tokens at an API that takes its time, beside the least that this takes."""

from pathlib import Path
from statistics import median

from bench.api import Api
from bench.fleet import rotate_all
from bench.table import Row

TOKENS = 1000
LATENCY = 0.020  # seconds
CONNECTIONS = 4  # the default of `[api] connections`
TURNS = 3
AT_MOST = 1.3
METHOD = f"""\
`rotator rotate` of {TOKENS:,} due tokens as in (c), at an API that waits {LATENCY * 1000:.0f} ms
before each answer. "theirs" is the least that so many calls can take: their number times the wait,
divided by the {CONNECTIONS} connections that a run has to an API.
"""


def measure(folder: Path) -> list[Row]:
    """Compare a run with the waits of its calls."""
    turns = []
    cpu = []
    for number in range(TURNS + 1):
        with Api(call_delay=LATENCY, login_cpu=0) as api:
            run = rotate_all(api, folder / str(number), TOKENS)
            turns.append((run.seconds, api.calls().total() * LATENCY / CONNECTIONS))
            cpu.append(run.cpu)
    ours, least = (median(turn[who] for turn in turns[1:]) for who in (0, 1))
    return [
        Row(
            what=f"(j) {TOKENS:,} due, {LATENCY * 1000:.0f} ms a call",
            ours=f"{ours:.1f} s",
            theirs=f"{least:.1f} s",
            ratio=f"{ours / least:.2f}",
            target=f"<= {AT_MOST:.2f}",
            met=ours / least <= AT_MOST,
        ),
        Row("    its processor time", f"{median(cpu[1:]):.1f} s", "–", "–"),
    ]
